package storage

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// static makes a local volume of node-1 by hand, as an administrator does.
func (r *rig) static(name, path string) *corev1.PersistentVolume {
	r.T.Helper()
	v, err := r.Kube.CoreV1().PersistentVolumes().Create(r.T.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: r.Namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}, AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
			StorageClassName: r.Namespace, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"node-1"}}},
			}}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(r.T, err)
	r.T.Cleanup(func() {
		require.NoError(r.T, r.Kube.CoreV1().PersistentVolumes().Delete(context.Background(), v.Name, metav1.DeleteOptions{}))
	})
	return v
}

func TestStaticLocalVolume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	disk := "/mnt/disks/" + r.Namespace
	r.pod("admin", on("node-1"), hostPath("host", disk, corev1.HostPathDirectoryOrCreate))
	r.Running("admin")
	r.OK("admin", "echo prepared > /host/file")
	v := r.static("disk", disk)
	r.claim("data", r.Namespace, "1Mi", rwo)
	claim, _ := r.bound("data")
	require.Equal(t, v.Name, claim.Spec.VolumeName)
	r.pod("app", nil, claimed("data", "data"))
	require.Equal(t, "node-1", r.Running("app").Spec.NodeName)
	require.Equal(t, "prepared", r.OK("app", "cat /data/file"))
	r.Fails("app", "head -c 2097152 /dev/zero > /data/big", "o space left on device")
	require.Contains(t, r.OK("admin", "ls /host"), "big", "it is a directory of the node")

	// A disk that is not there.
	r.static("none", "/mnt/disks/none")
	r.claim("missing", r.Namespace, "1Mi", rwo)
	_, none := r.bound("missing")
	r.pod("stuck", nil, claimed("data", "missing"))
	r.event("Pod", "stuck", "FailedMount", fmt.Sprintf(`MountVolume.NewMounter initialization failed for volume %q : path "/mnt/disks/none" does not exist`, none.Name))
}

func TestPodsThatCannotReachTheirVolume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("data", "", "1Mi", rwo)
	r.pod("app", on("node-1"), claimed("data", "data"))
	r.Running("app")
	r.pod("elsewhere", on("node-2"), claimed("data", "data"))
	r.event("Pod", "elsewhere", "FailedScheduling", "1 node(s) didn't match PersistentVolume's node affinity")
	r.pod("beside", nil, claimed("data", "data"))
	require.Equal(t, "node-1", r.Running("beside").Spec.NodeName, "ReadWriteOnce is for one node, not for one pod")
}

func TestReadWriteOncePod(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("data", "", "1Mi", rwop)
	r.pod("first", nil, claimed("data", "data"))
	r.Running("first")
	r.pod("second", nil, claimed("data", "data"))
	r.event("Pod", "second", "FailedScheduling", "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod")
	r.DeletePod("first")
	r.Running("second")
}

// The node of a volume goes and comes back: until then its pods wait, and then the data is still there. It is not parallel:
// the other tests need their nodes.
func TestNodeOfAVolumeIsGone(t *testing.T) {
	r := newRig(t)
	r.claim("data", "", "1Mi", rwo)
	r.pod("app", on("node-2"), claimed("data", "data"))
	r.Running("app")
	r.OK("app", "echo kept > /data/file")
	_, v := r.bound("data")
	unschedulable := func(value bool) {
		_, err := r.Kube.CoreV1().Nodes().Patch(t.Context(), "node-2", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"unschedulable":%v}}`, value), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	unschedulable(true)
	r.pod("cordoned", nil, claimed("data", "data"))
	e := r.event("Pod", "cordoned", "FailedScheduling", "1 node(s) didn't match PersistentVolume's node affinity")
	require.Contains(t, e.Message, "1 node(s) were unschedulable")
	unschedulable(false)
	r.Running("cordoned")
	r.DeletePod("cordoned")

	require.NoError(t, r.cluster.CrashNode(t.Context(), "node-2"))
	r.Eventually("node-2 takes no pods", func() (bool, string) {
		n, err := r.Kube.CoreV1().Nodes().Get(t.Context(), "node-2", metav1.GetOptions{})
		require.NoError(t, err)
		for _, taint := range n.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnreachable && taint.Effect == corev1.TaintEffectNoSchedule {
				return true, ""
			}
		}
		return false, fmt.Sprint(n.Spec.Taints)
	})
	r.pod("waiting", nil, claimed("data", "data"))
	r.event("Pod", "waiting", "FailedScheduling", "1 node(s) didn't match PersistentVolume's node affinity")
	require.NoError(t, r.cluster.RestartNode(t.Context(), "node-2"))
	r.Running("waiting")
	require.Equal(t, "kept", r.OK("waiting", "cat /data/file"))
	r.Fails("waiting", "head -c 2097152 /dev/zero > /data/big", "o space left on device")
	require.FileExists(t, filepath.Join(r.cluster.Spec().NodeDir("node-2"), "root", v.Spec.Local.Path, "file"))
}
