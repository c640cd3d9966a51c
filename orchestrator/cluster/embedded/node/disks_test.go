package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/pkg/volume"
)

func TestBindMount(t *testing.T) {
	disks := newAccounts(t.TempDir())
	m := newMounter(disks)
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "pod", "volume")
	require.NoError(t, os.Mkdir(source, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "f"), []byte("kept"), 0o600))
	require.NoError(t, os.MkdirAll(target, 0o755))
	require.NoError(t, m.Mount(source, target, "", []string{"bind"}))
	data, err := os.ReadFile(filepath.Join(target, "f"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(data))
	for _, each := range []*mounter{m, newMounter(disks)} { // The second as after a restart of the node.
		not, err := each.IsLikelyNotMountPoint(target)
		require.NoError(t, err)
		require.False(t, not)
	}
	require.NoError(t, newMounter(disks).Unmount(target))
	require.NoError(t, os.Remove(target), "the mount point is an empty directory again")
	require.FileExists(t, filepath.Join(source, "f"), "the volume stays")
	require.Error(t, m.Mount(source, filepath.Join(dir, "nosuch"), "", []string{"bind"}))
}

func TestTmpfsHasItsSize(t *testing.T) {
	disks := newAccounts(t.TempDir())
	m := newMounter(disks)
	target := filepath.Join(t.TempDir(), "pods/uid/volumes/kubernetes.io~empty-dir/cache")
	require.NoError(t, os.MkdirAll(target, 0o755))
	require.NoError(t, m.Mount("tmpfs", target, "tmpfs", []string{"size=8192", "noswap"}))
	book := disks.fileOf(filepath.Join(target, "sub"))
	require.FileExists(t, book)
	require.EqualValues(t, 8192, disks.of[target].Capacity())
	require.NoError(t, m.Unmount(target))
	require.Empty(t, disks.fileOf(target))
	require.NoFileExists(t, book)
}

func TestHostPathsAreTheNodesOwn(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(base, "secret"), 0o755))
	for name, to := range map[string]string{
		"absolute": filepath.Join(base, "secret"), "relative": "../secret", "deep": "var/../../secret", "slash": "/", "loop": "loop2", "loop2": "loop",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(root, name)))
	}
	p := &nodePath{root: nodeRoot(root)}
	for path, want := range map[string]string{
		"/": "", "/var/lib/../../../../etc": "etc", "..": "", "/var/lib/x": "var/lib/x",
		"/absolute": base + "/secret", "/absolute/x": base + "/secret/x", "/relative": "secret", "/deep/x": "secret/x", "/slash/slash/etc": "etc",
	} {
		want = filepath.Join(root, want)
		spec := &volume.Spec{Volume: &corev1.Volume{VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
		moved, err := p.below(spec)
		require.NoError(t, err, path)
		require.Equal(t, want, moved.Volume.HostPath.Path, path)
		require.Equal(t, path, spec.Volume.HostPath.Path, "the original is not changed")
		pv := &volume.Spec{PersistentVolume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
		}}}
		moved, err = p.below(pv)
		require.NoError(t, err, path)
		require.Equal(t, want, moved.PersistentVolume.Spec.HostPath.Path, path)
		disk := &localDisks{root: nodeRoot(root)}
		require.NoError(t, os.MkdirAll(want, 0o755))
		got, err := disk.disk(&volume.Spec{PersistentVolume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
		}}})
		require.NoError(t, err, path)
		require.Equal(t, want, got)
	}
	_, err := nodeRoot(root).inside("/loop")
	require.Error(t, err)
	require.NotContains(t, err.Error(), root, "messages show paths of the node")

	// Between look-up and use somebody puts a link in the way.
	late := filepath.Join(root, "late")
	require.NoError(t, os.Symlink(filepath.Join(base, "secret"), late))
	require.Error(t, nodeRoot(root).make(filepath.Join(late, "new"), true))
	require.Error(t, nodeRoot(root).make(filepath.Join(late, "file"), false))
	left, err := os.ReadDir(filepath.Join(base, "secret"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestMissingDisk(t *testing.T) {
	p := &localDisks{root: nodeRoot(t.TempDir()), accounts: newAccounts(t.TempDir())}
	spec := &volume.Spec{PersistentVolume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/disks/none"}},
	}}}
	_, err := p.NewMounter(spec, &corev1.Pod{})
	require.EqualError(t, err, `path "/mnt/disks/none" does not exist`)
}

func TestExpandedDisk(t *testing.T) {
	root := t.TempDir()
	p := &localDisks{root: nodeRoot(root), accounts: newAccounts(t.TempDir())}
	require.NoError(t, os.Mkdir(filepath.Join(root, "disk"), 0o755))
	spec := &volume.Spec{PersistentVolume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}},
	}}}
	account, err := p.accounts.open(filepath.Join(root, "disk"), 4096)
	require.NoError(t, err)
	ok, err := p.NodeExpand(volume.NodeResizeOptions{VolumeSpec: spec, NewSize: resource.MustParse("1Mi")})
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 1<<20, account.Capacity())
}
