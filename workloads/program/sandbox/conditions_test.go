package sandbox

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// conditions returns the node's view of a container's conditions and one of its processes'.
func conditions(t *testing.T) (node, process *Conditions) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conditions")
	node, err := CreateConditions(path)
	require.NoError(t, err)
	process, err = OpenConditions(path)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, node.Close())
		require.NoError(t, process.Close())
	})
	return node, process
}

func TestClock(t *testing.T) {
	t.Parallel()
	node, process := conditions(t)
	clock := process.Clock()
	start := clock.Now()
	require.WithinDuration(t, time.Now(), start, time.Second)
	for _, off := range []time.Duration{-10*time.Minute - 100, 3*time.Hour + 1, 100 * 365 * 24 * time.Hour, -100 * 365 * 24 * time.Hour, time.Second - 1} {
		node.SetClocks(ClockOffsets{Wall: off})
		before := time.Now()
		now := clock.Now()
		ahead := now.Round(0).Sub(before.Round(0))
		require.InDelta(t, off.Seconds(), ahead.Seconds(), 1, "the time of day is off")
		require.Less(t, clock.Since(start), 10*time.Second, "what is measured is not: %s", off)
		require.GreaterOrEqual(t, clock.Since(start), time.Duration(0), off)
	}
	// A year that a monotonic reading has no room for.
	node.SetClocks(ClockOffsets{Wall: 290 * 365 * 24 * time.Hour})
	require.InDelta(t, (290 * 365 * 24 * time.Hour).Seconds(), clock.Now().Sub(time.Now().Round(0)).Seconds(), 1)

	node.SetClocks(ClockOffsets{Monotonic: time.Hour})
	require.InDelta(t, time.Hour.Seconds(), clock.Since(start).Seconds(), 10)
	require.WithinDuration(t, time.Now().Round(0), clock.Now().Round(0), time.Second)

	node.SetClocks(ClockOffsets{})
	require.WithinDuration(t, time.Now(), clock.Now(), time.Second)
	require.Less(t, clock.Since(start), 10*time.Second)
}

func TestClockOffsetsAdd(t *testing.T) {
	t.Parallel()
	require.Equal(t, ClockOffsets{Wall: 3, Monotonic: -1}, ClockOffsets{Wall: 1, Monotonic: 1}.Add(ClockOffsets{Wall: 2, Monotonic: -2}))
}

// sick returns the files of a container, with /data and /other, under conditions that the first result sets.
func sick(t *testing.T) (*Conditions, *Tree) {
	t.Helper()
	node, process := conditions(t)
	root := t.TempDir()
	for _, dir := range []string{"data/db", "other"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	tree, err := NewTree(&Container{Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	tree.Interpose(process)
	return node, tree
}

func write(tree *Tree, name, text string) error {
	f, err := tree.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func content(t *testing.T, tree *Tree, name string) string {
	t.Helper()
	f, err := tree.Open(name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(data)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	const file = "/data/db/a.log"
	require.NoError(t, write(tree, file, "before"))
	eio := []FileFault{{Errno: syscall.EIO, Weight: 1}}
	calls := map[string]func() error{
		"open": func() error {
			f, err := tree.Open(file)
			if err == nil {
				f.Close()
			}
			return err
		},
		"write":    func() error { return write(tree, file, "x") },
		"getattr":  func() error { _, err := tree.Stat(file); return err },
		"setattr":  func() error { return tree.Chmod(file, 0o600) },
		"mkdir":    func() error { return tree.MkdirAll("/data/new", 0o755) },
		"rmdir":    func() error { return tree.Remove("/data/db/gone") },
		"unlink":   func() error { return tree.Remove("/data/db/b") },
		"rename":   func() error { return tree.Rename("/data/db/b", "/data/db/c") },
		"symlink":  func() error { return tree.Symlink("a.log", "/data/db/link") },
		"readdir":  func() error { _, err := tree.ReadDir("/data/db"); return err },
		"statfs":   func() error { _, err := tree.FileSystem(file); return err },
		"flush":    func() error { return write(tree, file, "x") },
		"lookup":   func() error { _, err := tree.Lstat(file); return err },
		"readlink": func() error { _, err := tree.Readlink("/data/db/link"); return err },
	}
	require.NoError(t, write(tree, "/data/db/b", ""))
	require.NoError(t, tree.MkdirAll("/data/db/gone", 0o755))
	for method, call := range calls {
		require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Methods: []string{method}, Percent: 100, Faults: eio}}))
		require.ErrorIs(t, call(), syscall.EIO, method)
		require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Methods: []string{"fsyncdir"}, Percent: 100, Faults: eio}}))
		if method != "readlink" && method != "rename" && method != "unlink" && method != "rmdir" {
			require.NoError(t, call(), method)
		}
		require.NoError(t, tree.RemoveAll("/data/db/link"))
	}
	_, err := tree.ReadDir("/nowhere")
	require.ErrorContains(t, err, "open /nowhere", "as package os has it")
}

func TestWhichFiles(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	all := []string{"/data/db/a.log", "/data/db/b.dat", "/data/c.log", "/other/d.log"}
	for _, name := range all {
		require.NoError(t, write(tree, name, "x"))
	}
	require.NoError(t, tree.Symlink("/data/c.log", "/other/link"))
	for _, tc := range []struct {
		volume, path string
		hit          []string
	}{
		{"/data", "", all[:3]},
		{"/data/", "/data/**/*", all[:3]},
		{"/data", "/data/**/*.log", []string{all[0], all[2]}},
		{"/data", "/data/*.log", []string{all[0], all[2]}},
		{"/data", "/data/db/?.[dl][!o]t", all[1:2]},
		{"/data", "/data/c.log", all[2:3]},
		{"/", "*/d.log", all[3:]},
		{"/dat", "", nil},
	} {
		require.NoError(t, node.SetFileRules([]FileRule{{
			Volume: tc.volume, Path: tc.path, Percent: 100, Faults: []FileFault{{Errno: syscall.ENOSPC, Weight: 1}},
		}}))
		var hit []string
		for _, name := range all {
			if _, err := tree.Stat(name); err != nil {
				require.ErrorIs(t, err, syscall.ENOSPC)
				hit = append(hit, name)
			}
		}
		require.Equal(t, tc.hit, hit, "%s %s", tc.volume, tc.path)
	}
	require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Percent: 100, Faults: []FileFault{{Errno: syscall.EIO, Weight: 1}}}}))
	_, err := tree.Stat("/other/link")
	require.ErrorIs(t, err, syscall.EIO, "a link leads into the volume")
	require.Error(t, node.SetFileRules([]FileRule{{Volume: "/data", Path: "/data/[a"}}))
	require.Error(t, node.SetFileRules([]FileRule{{Volume: "/data", Faults: []FileFault{{Weight: 1}}}}))
	require.Error(t, node.SetFileRules([]FileRule{{Volume: "/data", Mistake: &FileMistake{}}}))
	require.NoError(t, node.SetFileRules(nil))
	_, err = tree.Stat("/other/link")
	require.NoError(t, err)
}

func TestShares(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	require.NoError(t, node.SetFileRules([]FileRule{{
		Volume: "/data", Methods: []string{"getattr"}, Percent: 40,
		Faults: []FileFault{{Errno: syscall.EIO, Weight: 3}, {Errno: syscall.ENOMEM, Weight: 1}, {Errno: syscall.EPERM}},
	}}))
	const calls = 4000
	seen := map[error]int{}
	for range calls {
		_, err := tree.Stat("/data")
		var failed *fs.PathError
		if err != nil {
			require.ErrorAs(t, err, &failed)
			seen[failed.Err]++
			continue
		}
		seen[nil]++
	}
	// More than six standard deviations.
	require.InDelta(t, 0.6*calls, seen[nil], 200)
	require.InDelta(t, 0.3*calls, seen[syscall.EIO], 180)
	require.InDelta(t, 0.1*calls, seen[syscall.ENOMEM], 120)
	require.Zero(t, seen[syscall.EPERM])

	require.NoError(t, node.SetFileRules([]FileRule{{
		Volume: "/data", Methods: []string{"getattr"}, Percent: 100, Times: 3, Faults: []FileFault{{Errno: syscall.EIO}},
	}}))
	failed := 0
	for range 10 {
		if _, err := tree.Stat("/data"); err != nil {
			failed++
		}
	}
	require.Equal(t, 3, failed)
}

func TestLatency(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	require.NoError(t, node.SetFileRules([]FileRule{
		{Volume: "/data", Methods: []string{"write"}, Percent: 100, Latency: 60 * time.Millisecond},
		{Volume: "/data", Methods: []string{"write"}, Percent: 100, Latency: 40 * time.Millisecond, Jitter: 10 * time.Millisecond},
	}))
	begin := time.Now()
	require.NoError(t, write(tree, "/data/a", "x"))
	require.GreaterOrEqual(t, time.Since(begin), 90*time.Millisecond)
	begin = time.Now()
	require.NoError(t, write(tree, "/other/a", "x"))
	require.Less(t, time.Since(begin), 60*time.Millisecond)
}

func TestMistake(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	text := string(bytes.Repeat([]byte("a"), 512))
	require.NoError(t, write(tree, "/data/a", text))
	mistake := &FileMistake{MaxOccurrences: 1, MaxLength: 8}
	require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Methods: []string{"read"}, Percent: 100, Mistake: mistake}}))
	got := content(t, tree, "/data/a")
	require.Len(t, got, len(text))
	zeros := bytes.Count([]byte(got), []byte{0})
	require.Positive(t, zeros)
	require.LessOrEqual(t, zeros, 8)
	require.NoError(t, node.SetFileRules(nil))
	require.Equal(t, text, content(t, tree, "/data/a"), "the file is sound")

	mistake = &FileMistake{Random: true, MaxOccurrences: 2, MaxLength: 64}
	require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Methods: []string{"write"}, Percent: 100, Mistake: mistake}}))
	mine := bytes.Repeat([]byte("b"), 4096)
	f, err := tree.OpenFile("/data/b", os.O_WRONLY|os.O_CREATE, 0o644)
	require.NoError(t, err)
	for range 16 {
		_, err = f.Write(mine)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	require.Equal(t, bytes.Repeat([]byte("b"), 4096), mine, "the writer's memory is its own")
	require.NoError(t, node.SetFileRules(nil))
	require.NotEqual(t, string(bytes.Repeat(mine, 16)), content(t, tree, "/data/b"))
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	node, tree := sick(t)
	require.NoError(t, write(tree, "/data/a", "four"))
	size, perm, uid, links, kind := uint64(7), uint16(0o110), uint32(42), uint32(9), fs.ModeNamedPipe
	require.NoError(t, node.SetFileRules([]FileRule{{Volume: "/data", Path: "/data/a", Percent: 100, Attributes: &FileAttributes{
		Size: &size, Perm: &perm, UID: &uid, Nlink: &links, Kind: &kind, Mtime: &syscall.Timespec{Sec: 86400}, Ino: &size, Blocks: &size,
		Rdev: &uid, GID: &uid, Atime: &syscall.Timespec{Sec: 1}, Ctime: &syscall.Timespec{Sec: 2},
	}}}))
	info, err := tree.Stat("/data/a")
	require.NoError(t, err)
	require.EqualValues(t, 7, info.Size())
	require.Equal(t, fs.FileMode(0o110)|fs.ModeNamedPipe, info.Mode())
	require.False(t, info.IsDir())
	require.True(t, info.ModTime().Equal(time.Unix(86400, 0)))
	st, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.Equal(t, []uint64{42, 42, 9, 7, 42}, []uint64{uint64(st.Uid), uint64(st.Gid), uint64(st.Nlink), st.Ino, uint64(st.Rdev)})
	require.Equal(t, "four", content(t, tree, "/data/a"), "what it holds is as it was")
	f, err := tree.Open("/data/a")
	require.NoError(t, err)
	info, err = f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 7, info.Size(), "of an open file, too")
	require.NoError(t, f.Close())
	other, err := tree.Stat("/data/db")
	require.NoError(t, err)
	require.True(t, other.IsDir())
	require.NoError(t, node.SetFileRules(nil))
	info, err = tree.Stat("/data/a")
	require.NoError(t, err)
	require.EqualValues(t, 4, info.Size())
}

func TestOpenConditionsThatAreNotThere(t *testing.T) {
	t.Parallel()
	_, err := OpenConditions(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
