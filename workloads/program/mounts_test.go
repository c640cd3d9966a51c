package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMounts(t *testing.T) {
	t.Parallel()
	mounts, err := parseMounts(strings.NewReader(`700 600 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a
701 700 0:51 / /proc rw,nosuid - proc proc rw
702 700 254:1 /var/lib/x /data\040one ro,relatime shared:1 master:2 - ext4 /dev/vda1 rw
703 702 0:52 / /data\040one/in rw - tmpfs tmpfs rw,size=64k
704 700 0:53 / / rw - overlay upper rw
`))
	require.NoError(t, err)
	require.Equal(t, []osMount{
		{at: "/", kind: "overlay", device: "upper"},
		{at: "/data one", kind: "ext4", device: "/dev/vda1", readOnly: true},
		{at: "/data one/in", kind: "tmpfs", device: "tmpfs"},
		{at: "/proc", kind: "proc", device: "proc"},
	}, mounts)
	require.True(t, mounts[1].holds("/data one/x"))
	require.False(t, mounts[1].holds("/data one more"))
	require.True(t, mounts[3].kernel())
	require.False(t, mounts[0].kernel())
	_, err = parseMounts(strings.NewReader("what is this\n"))
	require.ErrorContains(t, err, `"what is this" is not a line of mountinfo`)
}

func TestFileSystemsOfTheOperatingSystem(t *testing.T) {
	t.Parallel()
	all, err := osFiles{}.FileSystems()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, s := range all {
		require.Positive(t, s.Size, s.MountedOn)
		require.NotContains(t, []string{"/proc", "/sys"}, s.MountedOn)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("/proc", link))
	s, err := osFiles{}.FileSystem(link)
	require.NoError(t, err)
	require.Equal(t, "/proc", s.MountedOn)
	require.Equal(t, "proc", s.Type)
	_, err = osFiles{}.FileSystem(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
