package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

// watching makes a process that holds instances of inotify.
func watching(t *testing.T, root string, pid, instances int) {
	t.Helper()
	dir := filepath.Join(root, "proc", fmt.Sprint(pid), "fd")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for i := range instances {
		require.NoError(t, os.Symlink("anon_inode:inotify", filepath.Join(dir, fmt.Sprint(i))))
	}
}

func TestInotify(t *testing.T) {
	t.Parallel()
	root := machine(t, 99<<20)
	write(t, filepath.Join(root, "proc/sys/fs/inotify/max_user_instances"), "128\n")
	watching(t, root, 7, 100)
	watching(t, root, 8, 20)
	for concurrency, ok := range map[int]bool{1: true, 8: true, 9: false} {
		c := find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, Root: root, Concurrency: concurrency, OutDir: t.TempDir(), RuntimeDir: t.TempDir()}), "inotify instances")
		require.Equal(t, ok, c.OK, concurrency)
		require.Equal(t, fmt.Sprintf("8 of 128 free for this user, want %d", concurrency), c.Detail)
		require.False(t, c.Required, "a cluster works without")
		if !ok {
			require.Contains(t, c.Hint, "sudo sysctl -w fs.inotify.max_user_instances=1024")
		}
	}
}

func TestOpenFilesOfTheMachine(t *testing.T) {
	t.Parallel()
	root := machine(t, 99<<20)
	write(t, filepath.Join(root, "proc/sys/fs/file-nr"), "1000\t0\t10000\n")
	check := func(concurrency int) doctor.Check {
		return find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, Root: root, Concurrency: concurrency, OutDir: t.TempDir(), RuntimeDir: t.TempDir()}), "open files")
	}
	require.True(t, check(2).OK, check(2).Detail)
	short := check(3)
	require.False(t, short.OK)
	require.True(t, short.Required)
	require.Contains(t, short.Detail, "; 9000 free on the machine, want 12288")
	require.Contains(t, short.Hint, "sysctl -w fs.file-max=25576")
}
