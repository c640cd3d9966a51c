package program

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// install puts the test binary where an image has it, with links of the given names in a bin directory, and returns a function
// that runs one of them as a process whose first argument is argv[0].
func install(t *testing.T, id Identity, names ...string) func(argv ...string) *exec.Cmd {
	t.Helper()
	root := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(self)
	require.NoError(t, err)
	libexec, bin := filepath.Join(root, "libexec"), filepath.Join(root, "bin")
	require.NoError(t, os.Mkdir(libexec, 0o755))
	require.NoError(t, os.Mkdir(bin, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(libexec, "pod"), data, 0o755))
	text, err := json.Marshal(id)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(libexec, IdentityFile), text, 0o644))
	for _, name := range names {
		require.NoError(t, os.Symlink("../libexec/pod", filepath.Join(bin, name)))
	}
	return func(argv ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, filepath.Base(argv[0])))
		cmd.Args, cmd.Env, cmd.Dir = argv, []string{"PROGRAM_TEST_MAIN=1", "COLOR=green"}, root
		return cmd
	}
}

// TestBinaryInAnImage runs a binary under the names that an image gives it, outside of any sandbox.
func TestBinaryInAnImage(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	in := install(t, Identity{Program: "test/main", Variant: "1.1"}, "app", "sh", "ls", "pod")
	config := func(cmd *exec.Cmd) *exec.Cmd {
		require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "config"), []byte("disk"), 0o600))
		return cmd
	}
	itself := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.Args[0] = filepath.Join(cmd.Dir, "libexec", "pod")
		return cmd
	}
	for _, tt := range []struct {
		name           string
		cmd            *exec.Cmd
		code           int
		stdout, stderr string
	}{
		{"the entrypoint is the program", config(in("/app", "a", "b")), 0, "[a b] 1.1 " + host + " green green 1 disk\n", ""},
		{"also where PATH led to it", config(in("app", "c")), 0, "[c] 1.1 " + host + " green green 1 disk\n", ""},
		{"a failure is its exit code", in("/app", "code"), 42, "", ""},
		{"a shell", in("/bin/sh", "-c", "x"), 0, "shell [/bin/sh -c x] test/main\n", ""},
		{"a tool", in("ls", "-l"), 0, "shell [ls -l] test/main\n", ""},
		{"a link with its own name is one like any other", in("pod", "-l"), 0, "shell [pod -l] test/main\n", ""},
		{"its own path is the binary", itself(in("pod", "test/main", "fail")), 1, "", "error: it failed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, tt.cmd)
			require.Equal(t, tt.code, code, stderr)
			require.Equal(t, tt.stdout, stdout)
			require.Contains(t, stderr, tt.stderr)
		})
	}
}

func TestImageIdentities(t *testing.T) {
	for _, tt := range []struct {
		name    string
		id      Identity
		command string
		code    int
		stdout  string
		stderr  string
	}{
		{"an image without an entrypoint is its shell", Identity{Program: "box"}, "box", 0, "shell [box] box\n", ""},
		{"a program of another binary is not here", Identity{Program: "heavy"}, "heavy", 127, "", "executable file not found"},
		{"but its shell is", Identity{Program: "heavy"}, "sh", 0, "shell [sh] heavy\n", ""},
		{"an image of another binary", Identity{Program: "other"}, "sh", 125, "", `no program "other" in this binary`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, install(t, tt.id, tt.command)(tt.command))
			require.Equal(t, tt.code, code, stderr)
			require.Equal(t, tt.stdout, stdout)
			require.Contains(t, stderr, tt.stderr)
		})
	}
}

// TestLinkOutsideOfAnImage: a link to the binary with another name is still the binary where no identity lies beside it.
func TestLinkOutsideOfAnImage(t *testing.T) {
	in := install(t, Identity{}, "pod-1.2")
	cmd := in("pod-1.2", "--images")
	require.NoError(t, os.Remove(filepath.Join(cmd.Dir, "libexec", IdentityFile)))
	code, stdout, stderr := runCommand(t, cmd)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "registry.local/test/main")
}

func TestBrokenIdentity(t *testing.T) {
	in := install(t, Identity{}, "sh")
	cmd := in("sh")
	require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "libexec", IdentityFile), []byte("{"), 0o644))
	code, _, stderr := runCommand(t, cmd)
	require.Equal(t, 125, code)
	require.Contains(t, stderr, "decode image identity")
}
