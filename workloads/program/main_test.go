package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// TestMain makes the test binary a program binary when the variable asks for it.
func TestMain(m *testing.M) {
	if os.Getenv("PROGRAM_TEST_MAIN") != "" {
		os.Exit(Main(testRegistry(), testShell, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func testRegistry() *Registry {
	var r Registry
	r.Register(
		Image{Repository: "registry.local/test/main", Tags: []string{"1.0", "1.1"}, Entrypoint: []string{"/app", "--default"}, Program: testProgram},
		Image{Repository: "registry.local/alone", Tags: []string{"2"}, Program: testProgram},
		Image{Repository: "registry.local/heavy", Tags: []string{"3"}, Binary: "heavy-test-program"},
		Image{Repository: "registry.local/box", Tags: []string{"4"}, Cmd: []string{"sh"}, Program: testProgram},
	)
	return &r
}

// testProgram does what its last argument says.
func testProgram(ctx context.Context, sys *Sys) error {
	switch sys.Args[len(sys.Args)-1] {
	case "fail":
		return errors.New("it failed")
	case "code":
		return &ExitError{Code: 42}
	case "panic":
		panic("boom")
	case "wait":
		fmt.Fprintln(sys.Stdout, "waiting")
		<-ctx.Done()
		fmt.Fprintln(sys.Stdout, "asked to end")
		return nil
	}
	data, err := ReadFile(sys.Files, "config")
	if err != nil {
		return err
	}
	fmt.Fprintln(sys.Stdout, sys.Args, sys.Variant, sys.Hostname, sys.Getenv("COLOR"), os.Getenv("COLOR"), os.Getenv("PROGRAM_TEST_MAIN"), string(data))
	return nil
}

func testShell(_ context.Context, sys *Sys, argv []string) error {
	fmt.Fprintln(sys.Stdout, "shell", argv, sys.Image.Name)
	return nil
}

// command runs the test binary as a program binary.
func command(t *testing.T, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), "PROGRAM_TEST_MAIN=1")
	return cmd
}

// run returns the exit code and both outputs.
func runCommand(t *testing.T, cmd *exec.Cmd) (int, string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &exit)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// container writes a container description and returns a command that runs it, with a sandbox socket.
func container(t *testing.T, c sandbox.Container, exec ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	c.Root = filepath.Join(dir, "root")
	require.NoError(t, os.MkdirAll(filepath.Join(c.Root, "srv"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.Root, "srv/config"), []byte("file"), 0o600))
	data, err := json.Marshal(c)
	require.NoError(t, err)
	path := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	node, child, err := sandbox.Pair()
	require.NoError(t, err)
	t.Cleanup(func() {
		node.Close()
		child.Close()
	})
	cmd := command(t, append([]string{"--container", path}, exec...)...)
	cmd.ExtraFiles = []*os.File{child}
	return cmd
}

func TestImages(t *testing.T) {
	code, out, _ := runCommand(t, command(t, "--images"))
	require.Zero(t, code)
	require.JSONEq(t, `[
		{"repository": "registry.local/alone", "tags": ["2"], "program": "alone", "entrypoint": ["/alone"]},
		{"repository": "registry.local/box", "tags": ["4"], "program": "box", "cmd": ["sh"]},
		{"repository": "registry.local/heavy", "tags": ["3"], "program": "heavy", "entrypoint": ["/heavy"], "binary": "heavy-test-program"},
		{"repository": "registry.local/test/main", "tags": ["1.0", "1.1"], "program": "test/main", "entrypoint": ["/app", "--default"]}]`, out)
}

func TestContainer(t *testing.T) {
	base := sandbox.Container{Program: "test/main", Variant: "1.1", Env: map[string]string{"COLOR": "green"}, Cwd: "/srv", Hostname: "pod-0"}
	with := func(args ...string) sandbox.Container {
		c := base
		c.Args = args
		return c
	}
	for _, tt := range []struct {
		name           string
		cmd            *exec.Cmd
		code           int
		stdout, stderr string
	}{
		{"default arguments", container(t, with()), 0, "[--default] 1.1 pod-0 green green  file\n", ""},
		{"own arguments", container(t, with("/app", "a", "b")), 0, "[a b] 1.1 pod-0 green green  file\n", ""},
		{"own command", container(t, with("sh", "-c", "x")), 0, "shell [sh -c x] test/main\n", ""},
		{"exec", container(t, with("/app"), "--exec", "--", "ls", "-l"), 0, "shell [ls -l] test/main\n", ""},
		{"exec of the entrypoint", container(t, with("/app"), "--exec", "--", "/app", "x"), 0, "shell [/app x] test/main\n", ""},
		{"image without an entrypoint", container(t, sandbox.Container{Program: "box", Args: []string{"echo", "hi"}}), 0, "shell [echo hi] box\n", ""},
		{"its default arguments", container(t, sandbox.Container{Program: "box"}), 0, "shell [sh] box\n", ""},
		{"error", container(t, with("/app", "fail")), 1, "", "error: it failed\n"},
		{"exit code", container(t, with("/app", "code")), 42, "", ""},
		{"panic", container(t, with("/app", "panic")), 2, "", "panic: boom"},
		{"unknown program", container(t, sandbox.Container{Program: "nothing"}), 125, "", `no program "nothing"`},
		{"no description", command(t, "--container", "/nothing"), 125, "", "read container description"},
		{"no arguments", command(t), 125, "", "want --images"},
		{"unknown plain program", command(t, "nothing"), 127, "", "no such program"},
		{"plain program", command(t, "test/main", "fail"), 1, "", "error: it failed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, tt.cmd)
			require.Equal(t, tt.code, code, stderr)
			require.Equal(t, tt.stdout, stdout)
			require.Contains(t, stderr, tt.stderr)
		})
	}
}

// TestOtherBinaryTakesOver starts a program of another executable: it gets the arguments and the sandbox's socket.
func TestOtherBinaryTakesOver(t *testing.T) {
	path := func(cmd *exec.Cmd, dir string) *exec.Cmd {
		cmd.Env = append(cmd.Env, "PATH="+dir+":"+os.Getenv("PATH"))
		return cmd
	}
	dir := t.TempDir()
	script := "#!/bin/sh\necho heavy $1 ${2##*/}\ntest -S /proc/$$/fd/3 && echo socket\nexit 7\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "heavy-test-program"), []byte(script), 0o755))
	code, stdout, stderr := runCommand(t, path(container(t, sandbox.Container{Program: "heavy"}), dir))
	require.Equal(t, 7, code, stderr)
	require.Equal(t, "heavy --container config.json\nsocket\n", stdout)
	code, stdout, stderr = runCommand(t, path(command(t, "heavy", "x"), dir))
	require.Equal(t, 7, code, stderr)
	require.Equal(t, "heavy heavy x\n", stdout)
	// The shell and the image's tools stay with the lighter executable.
	code, stdout, stderr = runCommand(t, path(container(t, sandbox.Container{Program: "heavy"}, "--exec", "--", "ls"), dir))
	require.Zero(t, code, stderr)
	require.Equal(t, "shell [ls] heavy\n", stdout)
	code, _, stderr = runCommand(t, container(t, sandbox.Container{Program: "heavy"}))
	require.Equal(t, 127, code)
	require.Contains(t, stderr, "find the executable of registry.local/heavy")
}

func TestSigtermEndsTheContext(t *testing.T) {
	cmd := container(t, sandbox.Container{Program: "test/main", Args: []string{"/app", "wait"}})
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var got bytes.Buffer
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	require.NoError(t, err)
	got.Write(buf[:n])
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = got.ReadFrom(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Equal(t, "waiting\nasked to end\n", got.String())
}

func TestRegistryRejectsMistakes(t *testing.T) {
	var r Registry
	ok := Image{Repository: "registry.local/x", Tags: []string{"1"}, Program: testProgram}
	r.Register(ok)
	require.Panics(t, func() { r.Register(ok) })
	require.Panics(t, func() { r.Register(Image{Repository: "registry.local/y", Program: testProgram}) })
	require.Panics(t, func() { r.Register(Image{Repository: "registry.local/y", Tags: []string{"1"}}) })
	_, found := r.Lookup("x")
	require.True(t, found)
	_, found = r.Lookup("y")
	require.False(t, found)
}

func TestSystem(t *testing.T) {
	im := Image{Repository: "registry.local/x", Tags: []string{"7"}}
	sys, err := System(&im, []string{"a"})
	require.NoError(t, err)
	require.Equal(t, "7", sys.Variant)
	require.Equal(t, os.Getenv("PATH"), sys.Getenv("PATH"))
	dir := t.TempDir()
	require.NoError(t, WriteFile(sys.Files, filepath.Join(dir, "f"), []byte("text"), 0o600))
	data, err := ReadFile(sys.Files, filepath.Join(dir, "f"))
	require.NoError(t, err)
	require.Equal(t, "text", string(data))
	l, err := sys.Net.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := sys.Net.DialContext(t.Context(), "tcp", strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
