package sandbox

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// disk is a container with a volume of some blocks at /data, and the same volume as another container sees it.
func disk(t *testing.T, capacity int64) (mine, theirs *Tree, account *Account, dir string) {
	t.Helper()
	host := t.TempDir()
	dir, book := filepath.Join(host, "volume"), filepath.Join(host, "book")
	require.NoError(t, os.Mkdir(dir, 0o755))
	account, err := OpenAccount(book)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, account.Close()) })
	account.SetCapacity(capacity)
	tree := func() *Tree {
		out, err := NewTree(&Container{Root: t.TempDir(), Mounts: []Mount{{ContainerPath: "/data", HostPath: dir, Within: host, Account: book}}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, out.Close()) })
		return out
	}
	return tree(), tree(), account, dir
}

func put(tree *Tree, name string, flag, size int) (int64, error) {
	f, err := tree.OpenFile(name, os.O_CREATE|os.O_WRONLY|flag, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, io.LimitReader(endless{}, int64(size)))
	return n, errors.Join(err, f.Close())
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestFullVolume(t *testing.T) {
	mine, theirs, account, dir := disk(t, 4*Block)
	_, err := put(mine, "/data/a", 0, Block+1)
	require.NoError(t, err)
	require.EqualValues(t, 2*Block, account.Used())
	n, err := put(theirs, "/data/b", 0, 10*Block)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "write /data/b: no space left on device", "errors name container paths")
	require.EqualValues(t, 2*Block, n, "what fits is written")
	require.Zero(t, account.Free())

	// The last block of a file is not full yet; the rest of it is.
	n, err = put(mine, "/data/a", os.O_APPEND, Block)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.EqualValues(t, Block-1, n)
	// Over what is there nothing is needed.
	f, err := mine.OpenFile("/data/b", os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{1}, 2*Block), 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{1}, 10*Block)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, f.Truncate(3*Block), syscall.ENOSPC)
	require.NoError(t, f.Truncate(Block))
	require.NoError(t, f.Close())
	require.EqualValues(t, Block, account.Free())
	require.NoError(t, account.Recount(dir))
	require.EqualValues(t, 3*Block, account.Used(), "the books agree with the files")
}

func TestSpaceComesBack(t *testing.T) {
	for name, free := range map[string]func(tree *Tree) error{
		"remove":        func(tree *Tree) error { return tree.Remove("/data/d/a") },
		"remove all":    func(tree *Tree) error { return tree.RemoveAll("/data/d") },
		"rename over":   func(tree *Tree) error { return tree.Rename("/data/empty", "/data/d/a") },
		"open truncate": func(tree *Tree) error { _, err := put(tree, "/data/d/a", os.O_TRUNC, 0); return err },
	} {
		t.Run(name, func(t *testing.T) {
			mine, _, account, dir := disk(t, 8*Block)
			require.NoError(t, mine.MkdirAll("/data/d", 0o755))
			_, err := put(mine, "/data/empty", 0, 0)
			require.NoError(t, err)
			_, err = put(mine, "/data/d/a", 0, 5*Block)
			require.NoError(t, err)
			require.EqualValues(t, 5*Block, account.Used())
			require.NoError(t, free(mine))
			require.Zero(t, account.Used())
			require.NoError(t, account.Recount(dir))
			require.Zero(t, account.Used())
		})
	}
}

func TestVolumeGrows(t *testing.T) {
	mine, _, account, _ := disk(t, Block)
	_, err := put(mine, "/data/a", 0, 2*Block)
	require.ErrorIs(t, err, syscall.ENOSPC)
	account.SetCapacity(2 * Block)
	_, err = put(mine, "/data/a", os.O_TRUNC, 2*Block)
	require.NoError(t, err)
}

func TestRecountFindsWhatWasWrittenPastTheAccount(t *testing.T) {
	mine, _, account, dir := disk(t, 4*Block)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "foreign"), make([]byte, 4*Block), 0o600))
	require.NoError(t, account.Recount(dir))
	_, err := put(mine, "/data/a", 0, 1)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestRecountLeavesAWriteUnderWay(t *testing.T) {
	_, _, account, dir := disk(t, 4*Block)
	require.EqualValues(t, Block, account.grow(0, Block), "charged, and written a moment later")
	require.NoError(t, account.Recount(dir))
	require.EqualValues(t, Block, account.Used())
	require.NoError(t, account.Recount(dir))
	require.Zero(t, account.Used(), "whoever charged it was killed")
}

func TestVolumeIsNeverOverfull(t *testing.T) {
	const blocksPerVolume = 64
	mine, theirs, account, dir := disk(t, blocksPerVolume*Block)
	var all sync.WaitGroup
	for i := range 8 {
		tree := []*Tree{mine, theirs}[i%2]
		all.Go(func() { _, _ = put(tree, "/data/"+strings.Repeat("x", i+1), 0, 20*Block) })
	}
	all.Wait()
	require.EqualValues(t, blocksPerVolume*Block, account.Used())
	require.NoError(t, account.Recount(dir))
	require.EqualValues(t, blocksPerVolume*Block, account.Used())
}

func TestFileSystems(t *testing.T) {
	mine, _, _, _ := disk(t, 16*Block)
	_, err := put(mine, "/data/a", 0, 4*Block)
	require.NoError(t, err)
	all, err := mine.FileSystems()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "/", all[0].MountedOn)
	require.Equal(t, FileSystem{Device: "/dev/vdb", Type: "ext4", MountedOn: "/data", Size: 16 * Block, Used: 4 * Block, Free: 12 * Block}, all[1])
	of, err := mine.FileSystem("/data/a")
	require.NoError(t, err)
	require.Equal(t, all[1], of)
	_, err = mine.FileSystem("/data/none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestMountIsNotLedOutOfItsDirectory(t *testing.T) {
	host := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(host, "node/vol"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(host, "secret"), 0o755))
	require.NoError(t, os.Symlink("../secret", filepath.Join(host, "node/relative")))
	require.NoError(t, os.Symlink(filepath.Join(host, "secret"), filepath.Join(host, "node/absolute")))
	for name, ok := range map[string]bool{"vol": true, "relative": false, "absolute": false} {
		tree, err := NewTree(&Container{Root: t.TempDir(), Mounts: []Mount{{
			ContainerPath: "/m", HostPath: filepath.Join(host, "node", name), Within: filepath.Join(host, "node"),
		}}})
		if ok {
			require.NoError(t, err, name)
			require.NoError(t, tree.Close())
			continue
		}
		require.ErrorContains(t, err, "escapes", name)
	}
}

// asking is an Interposer that only asks.
type asking struct{ ask func(op, name string) error }

func (a asking) Before(op, name string) error { return a.ask(op, name) }

func (asking) Data(_, _ string, p []byte) []byte { return p }

func (asking) Attributes(_ string, info fs.FileInfo) fs.FileInfo { return info }

func TestInterposer(t *testing.T) {
	mine, _, _, _ := disk(t, 4*Block)
	_, err := put(mine, "/data/a", 0, 1)
	require.NoError(t, err)
	var mu sync.Mutex
	var seen []string
	failing := ""
	mine.Interpose(asking{func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, op+" "+name)
		if op == failing {
			return syscall.EIO
		}
		return nil
	}})
	f, err := mine.OpenFile("/data/a", os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.NoError(t, err)
	for op, do := range map[string]func() error{
		"read":    func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"write":   func() error { _, err := f.WriteString("x"); return err },
		"setattr": func() error { return f.Truncate(0) },
		"fsync":   f.Sync,
		"open":    func() error { _, err := mine.Open("/data/a"); return err },
		"rename":  func() error { return mine.Rename("/data/a", "/data/b") },
		"getattr": func() error { _, err := mine.Stat("/data/a"); return err },
	} {
		failing = op
		require.ErrorIs(t, do(), syscall.EIO, op)
		failing = ""
		require.Contains(t, seen, op+" /data/a")
	}
	require.NoError(t, f.Close())
}
