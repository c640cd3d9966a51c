package storage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/volume"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// disks is a cluster of three nodes, the last of which is not ready, and what the provisioner makes of it.
func disks(t *testing.T) (*nodeDisks, cache.Indexer, cache.Indexer) {
	t.Helper()
	c := &spec.Cluster{Dir: t.TempDir()}
	nodes, volumes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil), cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	for name, ready := range map[string]corev1.ConditionStatus{"node-1": corev1.ConditionTrue, "node-2": corev1.ConditionTrue, "node-3": corev1.ConditionUnknown} {
		c.Nodes = append(c.Nodes, spec.Node{Name: name})
		require.NoError(t, os.MkdirAll(filepath.Join(c.NodeDir(name), "root"), 0o755))
		require.NoError(t, nodes.Add(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
		}))
	}
	return &nodeDisks{cluster: c, nodes: corelisters.NewNodeLister(nodes), volumes: corelisters.NewPersistentVolumeLister(volumes)}, nodes, volumes
}

func wish(node string, modes ...corev1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	return controller.ProvisionOptions{
		StorageClass: Classes()[0], PVName: "pvc-1", SelectedNodeName: node, PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			}},
		},
	}
}

func TestProvisionAndDelete(t *testing.T) {
	d, nodes, volumes := disks(t)
	v, _, err := d.Provision(t.Context(), wish("node-2", corev1.ReadWriteOnce))
	require.NoError(t, err)
	require.Equal(t, "/var/local-path-provisioner/pvc-1_shop_data", v.Spec.Local.Path)
	require.Equal(t, "1Gi", v.Spec.Capacity.Storage().String())
	dir := filepath.Join(d.cluster.NodeDir("node-2"), "root", v.Spec.Local.Path)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o777), info.Mode().Perm())
	require.NoError(t, volumes.Add(v))
	other, _, err := d.Provision(t.Context(), wish("", corev1.ReadWriteOncePod))
	require.NoError(t, err)
	require.Equal(t, "node-1", other.Annotations[selectedNode], "the node with the fewest volumes")

	down := v.DeepCopy()
	down.Annotations[selectedNode] = "node-3"
	require.ErrorContains(t, d.Delete(t.Context(), down), "node node-3 is not ready")
	require.NoError(t, d.Delete(t.Context(), v))
	require.NoDirExists(t, dir)
	require.NoError(t, nodes.Delete(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-3"}}))
	require.NoError(t, d.Delete(t.Context(), down), "its disk went with it")
}

func TestProvisionRefuses(t *testing.T) {
	d, nodes, _ := disks(t)
	_, state, err := d.Provision(t.Context(), wish("node-3", corev1.ReadWriteOnce))
	require.ErrorContains(t, err, "node node-3 is not ready")
	require.Equal(t, controller.ProvisioningReschedule, state, "the scheduler may know a better one")
	_, _, err = d.Provision(t.Context(), wish("node-1", corev1.ReadWriteMany))
	require.ErrorContains(t, err, "NodePath only supports ReadWriteOnce")
	selecting := wish("node-1", corev1.ReadWriteOnce)
	selecting.PVC.Spec.Selector = &metav1.LabelSelector{}
	_, _, err = d.Provision(t.Context(), selecting)
	require.ErrorContains(t, err, "Selector is not supported")
	for _, name := range []string{"node-1", "node-2"} {
		require.NoError(t, nodes.Delete(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	_, _, err = d.Provision(t.Context(), wish("", corev1.ReadWriteOnce))
	require.ErrorContains(t, err, "no node was specified")
}

// Volume objects can be written by hand, and directories of a node by its containers.
func TestNothingElseIsRemoved(t *testing.T) {
	d, _, _ := disks(t)
	v, _, err := d.Provision(t.Context(), wish("node-1", corev1.ReadWriteOnce))
	require.NoError(t, err)
	root := filepath.Join(d.cluster.NodeDir("node-1"), "root")
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	for _, path := range []string{"/etc", "/", DataDir, DataDir + "/../../etc", DataDir + "/pvc-2_shop_data", "/var/local-path-provisioner/pvc-1_x/../../../etc"} {
		forged := v.DeepCopy()
		forged.Spec.Local.Path = path
		require.ErrorContains(t, d.Delete(t.Context(), forged), "is not its directory", path)
	}
	require.DirExists(t, filepath.Join(root, "etc"))

	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "pvc-1_shop_data"), 0o755))
	require.NoError(t, os.RemoveAll(filepath.Join(root, DataDir)))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, DataDir)))
	require.ErrorContains(t, d.Delete(t.Context(), v), "escapes")
	_, _, err = d.Provision(t.Context(), wish("node-1", corev1.ReadWriteOnce))
	require.Error(t, err)
	require.NotContains(t, err.Error(), d.cluster.Dir, "events show paths of the node")
	require.DirExists(t, filepath.Join(outside, "pvc-1_shop_data"))
}

func TestHostPathDeleterStaysInside(t *testing.T) {
	root := t.TempDir()
	host := filepath.Join(t.TempDir(), "tmp", "precious")
	require.NoError(t, os.MkdirAll(host, 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "tmp/x"), 0o755))
	p := hostPaths{root: root}
	remove := func(path string) error {
		d, err := p.NewDeleter(klog.Background(), &volume.Spec{PersistentVolume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
		}}})
		require.NoError(t, err)
		require.Equal(t, path, d.GetPath())
		return d.Delete()
	}
	require.NoError(t, remove("/tmp/x"))
	require.NoDirExists(t, filepath.Join(root, "tmp/x"))
	require.NoError(t, remove(host))
	require.NoError(t, remove("/tmp/../../../../.."+host))
	require.DirExists(t, host)
	require.EqualError(t, remove("/data"), "host_path deleter only supports /tmp/.+ but received provided /data")
}

func TestEventsDoNotNameTheHost(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	e := renamed(&corev1.Event{Source: corev1.EventSource{Component: Provisioner + "_" + host + "_1-2-3"}})
	require.Equal(t, "rancher.io/local-path_local-path-provisioner-7dc846544d-8kx2n_1-2-3", e.Source.Component)
	require.Equal(t, e.Source.Component, e.ReportingController)
	foreign := &corev1.Event{Source: corev1.EventSource{Component: "kubelet"}}
	require.Same(t, foreign, renamed(foreign))
}
