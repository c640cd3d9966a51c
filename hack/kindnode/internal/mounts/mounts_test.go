package mounts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/mounts"
)

const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /cache/rootfs.partial/proc rw,relatime - proc proc rw
31 22 0:27 / /cache/rootfs rw - tmpfs tmpfs rw
32 31 0:28 / /cache/rootfs/a\040b rw - tmpfs tmpfs rw
33 22 0:29 / /cache/rootfs2 rw - tmpfs tmpfs rw
short line
`

func TestBelow(t *testing.T) {
	t.Parallel()
	got, err := mounts.Below(strings.NewReader(mountinfo), "/cache/rootfs")
	require.NoError(t, err)
	require.Equal(t, []string{"/cache/rootfs/a b", "/cache/rootfs"}, got)

	got, err = mounts.Below(strings.NewReader(mountinfo), "/elsewhere")
	require.NoError(t, err)
	require.Empty(t, got)

	got, err = mounts.Inside(strings.NewReader(mountinfo), "/cache/rootfs")
	require.NoError(t, err)
	require.Equal(t, []string{"/cache/rootfs/a b"}, got, "a disk that is mounted there stays")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for _, remove := range []func(string) error{mounts.RemoveAll, mounts.Purge} {
		dir := filepath.Join(t.TempDir(), "d")
		require.NoError(t, remove(dir), "what does not exist is removed already")
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
		require.NoError(t, remove(dir))
		require.NoDirExists(t, dir)
	}
}
