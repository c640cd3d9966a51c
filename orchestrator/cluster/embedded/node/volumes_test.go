package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
)

func TestMounter(t *testing.T) {
	m := newMounter(newAccounts(t.TempDir()))
	dir := t.TempDir()
	_, err := m.IsLikelyNotMountPoint(filepath.Join(dir, "nosuch"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, m.Mount("server:/x", dir, "nfs", nil), `file system "nfs" is not supported`)
	require.NoError(t, m.MountSensitiveWithoutSystemd("tmpfs", dir, "tmpfs", nil, nil))
	not, err := m.IsLikelyNotMountPoint(dir)
	require.NoError(t, err)
	require.False(t, not)
	list, err := m.List()
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o600))
	require.NoError(t, m.Unmount(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the content of a tmpfs goes with it")
	not, err = m.IsLikelyNotMountPoint(dir)
	require.NoError(t, err)
	require.True(t, not)
}

func TestSubpath(t *testing.T) {
	dir := t.TempDir()
	vol := filepath.Join(dir, "vol")
	require.NoError(t, os.MkdirAll(filepath.Join(vol, "..v1"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(vol, "..v1", "key"), []byte("old"), 0o644))
	require.NoError(t, os.Symlink("..v1", filepath.Join(vol, "..data")))
	require.NoError(t, os.Symlink("..data/key", filepath.Join(vol, "key")))
	s := subpath.Subpath{Path: filepath.Join(vol, "key"), VolumeName: "cm", VolumePath: vol, PodDir: filepath.Join(dir, "pod"), ContainerName: "c"}
	path, _, err := subpather{}.PrepareSafeSubpath(s)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(vol, "..v1"))) // What the kubelet does when the ConfigMap changes.
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(data), "a subPath file keeps its content")
	require.NoError(t, subpather{}.CleanSubPaths(s.PodDir, "cm"))
	require.NoFileExists(t, path)

	require.NoError(t, os.Symlink("/etc", filepath.Join(vol, "out")))
	s.Path = filepath.Join(vol, "out")
	_, _, err = subpather{}.PrepareSafeSubpath(s)
	require.ErrorContains(t, err, "not within volume path")
	require.Error(t, subpather{}.SafeMakeDir("out/x", vol, 0o755))
	require.NoError(t, subpather{}.SafeMakeDir("in/deep", vol, 0o755))
	require.DirExists(t, filepath.Join(vol, "in/deep"))
}

func TestNodeOSKeepsLogLinks(t *testing.T) {
	o := nodeOS{name: "node-1", logs: t.TempDir()}
	require.NoError(t, o.Symlink("/target", "/var/log/containers/a.log"))
	found, err := o.Glob("/var/log/containers/*.log")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(o.logs, "a.log")}, found)
	require.NoError(t, o.Remove(found[0]))
	name, err := o.Hostname()
	require.NoError(t, err)
	require.Equal(t, "node-1", name)
}
