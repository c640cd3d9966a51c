package rootfs_test

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/rootfs"
)

func TestUsersAreInTheirFiles(t *testing.T) {
	t.Parallel()
	files := rootfs.Files()
	for number, home := range rootfs.Homes() {
		require.Contains(t, files["etc/passwd"], fmt.Sprintf(":x:%d:%d:", number, number))
		require.Contains(t, files["etc/passwd"], ":"+home+":")
		require.Contains(t, files["etc/group"], fmt.Sprintf(":x:%d:", number))
	}
}

func TestPathsAreRelative(t *testing.T) {
	t.Parallel()
	modes := map[string]string{}
	for _, d := range rootfs.Dirs() {
		require.Equal(t, path.Clean(d.Path), d.Path)
		require.False(t, strings.HasPrefix(d.Path, "/"), d.Path)
		modes[d.Path] = d.Mode.String()
	}
	require.Equal(t, "trwxrwxrwx", modes["tmp"])
	require.Equal(t, "-rwx------", modes["root"])
	for name := range rootfs.Files() {
		require.Contains(t, modes, path.Dir(name), "a file lies in a directory that is listed")
	}
}
