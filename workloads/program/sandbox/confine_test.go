package sandbox

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"github.com/stretchr/testify/require"
)

// TestConfine runs itself as a process that is confined to a container, which it will be for the rest of its life.
func TestConfine(t *testing.T) {
	if dir := os.Getenv("CONFINED_BELOW"); dir != "" {
		confined(t, dir)
		return
	}
	if version, err := ll.LandlockGetABIVersion(); err != nil || version < 2 {
		t.Skip("the kernel has no Landlock, or one that cannot move files between directories")
	}
	dir := t.TempDir()
	for _, d := range []string{"root", "data/a", "data/b", "config", "files", "elsewhere"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for name, text := range map[string]string{
		"elsewhere/secret": "secret", "config/app.yaml": "app", "files/one": "one", "files/other": "other", "resolv.conf": "nameserver 10.96.0.10\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "data/wal")))
	cmd := exec.Command(os.Args[0], "-test.run=^TestConfine$")
	cmd.Env = append(os.Environ(), "CONFINED_BELOW="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoFileExists(t, filepath.Join(dir, "elsewhere/segment"))
}

// confined is the process in the container, whose files a library opens by the host's paths.
func confined(t *testing.T, dir string) {
	host := func(name string) string { return filepath.Join(dir, name) }
	c := &Container{Root: host("root"), ResolvConf: host("resolv.conf"), Mounts: []Mount{
		{ContainerPath: "/data", HostPath: host("data")}, {ContainerPath: "/config", HostPath: host("config"), ReadOnly: true},
		{ContainerPath: "/etc/one", HostPath: host("files/one"), ReadOnly: true},
	}}
	tree, err := NewTree(c)
	require.NoError(t, err)
	require.NoError(t, tree.Confine(c))

	read := func(name string) error { _, err := os.ReadFile(name); return err }
	write := func(name string) error { return os.WriteFile(name, []byte("x"), 0o644) }
	for name, err := range map[string]error{
		"a file of the host":               read("/etc/passwd"),
		"a file beside the container":      read(host("elsewhere/secret")),
		"a file behind a link":             read(host("data/wal/secret")),
		"a new file behind a link":         write(host("data/wal/segment")),
		"a new file on a read-only volume": write(host("config/new")),
		"the neighbour of a mounted file":  read(host("files/other")),
	} {
		require.ErrorIs(t, err, fs.ErrPermission, name)
	}
	for name, err := range map[string]error{
		"the container's name server":  read(c.ResolvConf),
		"the process itself":           read("/proc/self/stat"),
		"a device":                     write("/dev/null"),
		"a new file":                   write(host("data/a/new")),
		"a file moved":                 os.Rename(host("data/a/new"), host("data/b/new")),
		"a file of a read-only volume": read(host("config/app.yaml")),
		"a mounted file":               read(host("files/one")),
	} {
		require.NoError(t, err, name)
	}
	for _, name := range []string{"/data/b/new", "/config/app.yaml", "/etc/one"} {
		f, err := tree.Open(name)
		require.NoError(t, err, name)
		require.NoError(t, f.Close())
	}
}
