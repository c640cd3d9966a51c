package sandbox

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// testTree is a container with a writable root, a read-only mount of a directory and a mount of one file.
func testTree(t *testing.T) (*Tree, string) {
	t.Helper()
	host := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(host, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("secret", "the host's")
	write("root/etc/passwd", "root")
	// As the kubelet lays a ConfigMap out.
	write("volume/..2026/app.yaml", "config")
	require.NoError(t, os.Symlink("..2026", filepath.Join(host, "volume/..data")))
	require.NoError(t, os.Symlink("..data/app.yaml", filepath.Join(host, "volume/app.yaml")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(host, "root/absolute")))
	require.NoError(t, os.Symlink("../../../../secret", filepath.Join(host, "root/escape")))
	require.NoError(t, os.Symlink(filepath.Join(host, "secret"), filepath.Join(host, "root/direct")))
	require.NoError(t, os.Symlink("loop", filepath.Join(host, "root/loop")))
	require.NoError(t, os.Symlink("/config/app.yaml", filepath.Join(host, "root/into-mount")))
	tree, err := NewTree(&Container{
		Root: filepath.Join(host, "root"), Cwd: "/etc",
		Mounts: []Mount{
			{ContainerPath: "/config", HostPath: filepath.Join(host, "volume"), ReadOnly: true},
			{ContainerPath: "/etc/hosts", HostPath: write("hosts", "127.0.0.1 localhost")},
			{ContainerPath: "/var/data/deep", HostPath: t.TempDir()},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	return tree, host
}

func read(tree *Tree, name string) (string, error) {
	f, err := tree.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func TestTreeReads(t *testing.T) {
	tree, _ := testTree(t)
	for name, want := range map[string]string{
		"/etc/passwd": "root", "passwd": "root", "../etc/./passwd": "root", "/absolute": "root", "/config/app.yaml": "config",
		"/config/..data/app.yaml": "config", "/etc/hosts": "127.0.0.1 localhost", "/into-mount": "config", "/../../etc/passwd": "root",
	} {
		got, err := read(tree, name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for name, want := range map[string]error{
		"/escape": os.ErrNotExist, "/direct": os.ErrNotExist, "/nothing": os.ErrNotExist, "/loop": syscall.ELOOP, "/etc/hosts/x": syscall.ENOTDIR, "/etc/passwd/x": syscall.ENOTDIR,
	} {
		_, err := read(tree, name)
		require.ErrorIs(t, err, want, name)
	}
	_, err := read(tree, "/nothing")
	require.EqualError(t, err, "open /nothing: no such file or directory", "errors name container paths")
	info, err := tree.Stat("/absolute")
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	info, err = tree.Lstat("/absolute")
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
	to, err := tree.Readlink("/absolute")
	require.NoError(t, err)
	require.Equal(t, "/etc/passwd", to)
}

func TestTreeListsMountPoints(t *testing.T) {
	tree, _ := testTree(t)
	names := func(dir string) (out []string) {
		list, err := tree.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range list {
			out = append(out, e.Name())
		}
		return out
	}
	require.Equal(t, []string{"absolute", "config", "direct", "escape", "etc", "into-mount", "loop", "var"}, names("/"))
	require.Equal(t, []string{"hosts", "passwd"}, names("."))
	require.Equal(t, []string{"deep"}, names("/var/data"))
}

func TestTreeWrites(t *testing.T) {
	tree, host := testTree(t)
	write := func(name string) error {
		f, err := tree.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	require.NoError(t, write("/var/data/deep/file"))
	require.NoError(t, tree.MkdirAll("/tmp/a/b", 0o755))
	require.NoError(t, write("/tmp/a/b/c"))
	require.NoError(t, tree.Rename("/tmp/a/b/c", "/tmp/a/d"))
	require.NoError(t, tree.Chmod("/tmp/a/d", 0o400))
	require.NoError(t, tree.Symlink("/tmp/a/d", "/tmp/link"))
	_, err := read(tree, "/tmp/link")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(host, "root/tmp/a/d"))
	require.ErrorIs(t, write("/config/new"), syscall.EROFS)
	require.ErrorIs(t, tree.Remove("/config/app.yaml"), syscall.EROFS)
	require.ErrorIs(t, tree.Rename("/config/app.yaml", "/tmp/x"), syscall.EROFS)
	require.ErrorIs(t, tree.Rename("/tmp/a/d", "/var/data/deep/d"), syscall.EXDEV)
	require.ErrorIs(t, tree.RemoveAll("/var/data/deep"), syscall.EBUSY)
	require.NoError(t, tree.RemoveAll("/tmp/a"))
	require.NoError(t, tree.Remove("/tmp/link"))
	require.NoError(t, write("/escape"), "the link ends inside the container")
	require.FileExists(t, filepath.Join(host, "root/secret"))
	require.NoError(t, write("/dev/null"))
	data, err := os.ReadFile(filepath.Join(host, "secret"))
	require.NoError(t, err)
	require.Equal(t, "the host's", string(data))
}
