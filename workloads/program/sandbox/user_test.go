package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shared are the trees of root and of a user on the same volume, which everybody may write to.
func shared(t *testing.T, user User) (root, theirs *Tree) {
	t.Helper()
	volume := t.TempDir()
	require.NoError(t, os.Chmod(volume, 0o777))
	tree := func(u User) *Tree {
		out, err := NewTree(&Container{Root: t.TempDir(), User: u, Mounts: []Mount{{ContainerPath: "/data", HostPath: volume}}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, out.Close()) })
		return out
	}
	return tree(User{}), tree(user)
}

func makeFile(tree *Tree, name string, perm fs.FileMode) error {
	f, err := tree.OpenFile(name, os.O_CREATE|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	return f.Close()
}

func TestFilesBelongToTheirMaker(t *testing.T) {
	_, theirs := shared(t, User{UID: 1000, GID: 2000})
	require.NoError(t, theirs.MkdirAll("/data/a/b", 0o755))
	require.NoError(t, makeFile(theirs, "/data/a/b/c", 0o644))
	for _, name := range []string{"/data/a", "/data/a/b", "/data/a/b/c"} {
		info, err := theirs.Stat(name)
		require.NoError(t, err)
		uid, gid := Owner(info)
		require.Equal(t, [2]uint32{1000, 2000}, [2]uint32{uid, gid}, name)
	}
	list, err := theirs.ReadDir("/data")
	require.NoError(t, err)
	info, err := list[0].Info()
	require.NoError(t, err)
	uid, _ := Owner(info)
	require.EqualValues(t, 1000, uid)
}

func TestGroupOfSetgidDirectory(t *testing.T) {
	root, theirs := shared(t, User{UID: 1000, GID: 2000, Groups: []uint32{3000}})
	require.NoError(t, root.MkdirAll("/data/group", 0o755))
	require.NoError(t, root.Chown("/data/group", -1, 3000))
	require.NoError(t, root.Chmod("/data/group", 0o770|fs.ModeSetgid))
	require.NoError(t, makeFile(theirs, "/data/group/file", 0o644), "a member of the group may write")
	info, err := theirs.Stat("/data/group/file")
	require.NoError(t, err)
	uid, gid := Owner(info)
	require.Equal(t, [2]uint32{1000, 3000}, [2]uint32{uid, gid})
}

func TestUserIsHeldToModeBits(t *testing.T) {
	root, theirs := shared(t, User{UID: 1000, GID: 2000})
	give := func(name string, dir bool, mode fs.FileMode) {
		if dir {
			require.NoError(t, root.MkdirAll(name, 0o755))
		} else {
			require.NoError(t, makeFile(root, name, 0o600))
		}
		require.NoError(t, root.Chown(name, 0, 0)) // Recorded also where nobody is root.
		require.NoError(t, root.Chmod(name, mode))
	}
	give("/data/secret", false, 0o600)
	give("/data/public", false, 0o644)
	give("/data/closed", true, 0o755)
	give("/data/closed/file", false, 0o666)
	give("/data/dark", true, 0o700)
	give("/data/dark/file", false, 0o666)
	give("/data/sticky", true, 0o777|fs.ModeSticky)
	give("/data/sticky/file", false, 0o666)
	require.NoError(t, makeFile(theirs, "/data/mine", 0o600))

	open := func(name string, flag int) error {
		f, err := theirs.OpenFile(name, flag, 0o644)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	list := func(name string) error { _, err := theirs.ReadDir(name); return err }
	for what, tt := range map[string]struct{ got, want error }{
		"read a secret":                     {open("/data/secret", os.O_RDONLY), syscall.EACCES},
		"read what is public":               {open("/data/public", os.O_RDONLY), nil},
		"write what is public":              {open("/data/public", os.O_WRONLY), syscall.EACCES},
		"truncate what is public":           {open("/data/public", os.O_TRUNC), syscall.EACCES},
		"write a file for all":              {open("/data/closed/file", os.O_RDWR), nil},
		"make a file":                       {open("/data/closed/new", os.O_CREATE|os.O_WRONLY), syscall.EACCES},
		"make a directory":                  {theirs.MkdirAll("/data/closed/d/e", 0o755), syscall.EACCES},
		"remove a file":                     {theirs.Remove("/data/closed/file"), syscall.EACCES},
		"remove a tree":                     {theirs.RemoveAll("/data/closed/file"), syscall.EACCES},
		"make a link":                       {theirs.Symlink("x", "/data/closed/link"), syscall.EACCES},
		"rename into":                       {theirs.Rename("/data/mine", "/data/closed/mine"), syscall.EACCES},
		"look a name up":                    {open("/data/dark/file", os.O_RDONLY), syscall.EACCES},
		"list":                              {list("/data/dark"), syscall.EACCES},
		"list what is public":               {list("/data/closed"), nil},
		"remove from a sticky directory":    {theirs.Remove("/data/sticky/file"), syscall.EPERM},
		"change another's mode":             {theirs.Chmod("/data/public", 0o666), syscall.EPERM},
		"give away":                         {theirs.Chown("/data/mine", 0, -1), syscall.EPERM},
		"give to a foreign group":           {theirs.Chown("/data/mine", -1, 9), syscall.EPERM},
		"change another's times":            {theirs.Chtimes("/data/public", time.Now(), time.Now()), syscall.EACCES},
		"change one's own mode":             {theirs.Chmod("/data/mine", 0o640), nil},
		"remove one's own":                  {theirs.Remove("/data/mine"), nil},
		"stat a secret":                     {func() error { _, err := theirs.Stat("/data/secret"); return err }(), nil},
		"root reads everything":             {openFile(root, "/data/secret"), nil},
		"root writes in a closed directory": {makeFile(root, "/data/closed/other", 0o600), nil},
	} {
		if tt.want == nil {
			require.NoError(t, tt.got, what)
			continue
		}
		require.ErrorIs(t, tt.got, tt.want, what)
	}
}

func TestReadOnlyRoot(t *testing.T) {
	volume := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(volume, "sub"), 0o777))
	tree, err := NewTree(&Container{Root: t.TempDir(), ReadOnlyRoot: true, Mounts: []Mount{{ContainerPath: "/data", HostPath: volume, Memory: true}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	for name, got := range map[string]error{
		"file": makeFile(tree, "/file", 0o644), "directory": tree.MkdirAll("/dir/sub", 0o755), "link": tree.Symlink("x", "/link"), "remove": tree.RemoveAll("/etc"),
	} {
		require.ErrorIs(t, got, syscall.EROFS, name)
	}
	require.NoError(t, makeFile(tree, "/data/sub/file", 0o644), "a mount has its own say")
	require.NoError(t, makeFile(tree, "/dev/null", 0o644))
	all, err := tree.FileSystems()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.True(t, all[0].ReadOnly)
	require.Equal(t, "overlay", all[0].Type)
	require.False(t, all[1].ReadOnly)
	require.Equal(t, [3]string{"tmpfs", "tmpfs", "/data"}, [3]string{all[1].Device, all[1].Type, all[1].MountedOn})
}

func openFile(tree *Tree, name string) error {
	f, err := tree.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}
