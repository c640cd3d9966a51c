package storage

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// fixture is the cluster of all tests of the package.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// rig is a namespace of its own in the shared cluster.
type rig struct {
	*clustertest.Rig
	// cluster has the nodes' directories and processes.
	cluster *embedded.Cluster
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := fixture.Rig(t)
	return &rig{Rig: r, cluster: r.Cluster.(*embedded.Cluster)}
}

// claim makes a claim; class "" means the default one.
func (r *rig) claim(name, class, size string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	r.T.Helper()
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{mode},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
	}}
	if class != "" {
		c.Spec.StorageClassName = &class
	}
	c, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Create(r.T.Context(), c, metav1.CreateOptions{})
	require.NoError(r.T, err)
	return c
}

// pod makes a pod with one shell and the given volumes, each mounted at /<its name>. change may be nil.
func (r *rig) pod(name string, change func(*corev1.PodSpec), volumes ...corev1.Volume) *corev1.Pod {
	r.T.Helper()
	grace := int64(1)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, Volumes: volumes,
		// On a loaded machine a node may miss its heartbeats for a while; these tests are not about evictions for that.
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
		Containers:  []corev1.Container{{Name: "sh", Image: "registry.local/library/busybox:1.36", Command: []string{"sh", "-c", "sleep 100000"}}},
	}}
	for _, v := range volumes {
		p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/" + v.Name})
	}
	if change != nil {
		change(&p.Spec)
	}
	p, err := r.Kube.CoreV1().Pods(r.Namespace).Create(r.T.Context(), p, metav1.CreateOptions{})
	require.NoError(r.T, err)
	return p
}

func claimed(volume, claim string) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}
}

func hostPath(volume, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}

func on(node string) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{corev1.LabelHostname: node} }
}

func (r *rig) deleteClaim(name string) {
	r.T.Helper()
	require.NoError(r.T, r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Delete(r.T.Context(), name, metav1.DeleteOptions{}))
}

// bound waits until a claim is bound and returns it with its volume.
func (r *rig) bound(name string) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	r.T.Helper()
	var claim *corev1.PersistentVolumeClaim
	r.Eventually("claim "+name+" is bound", func() (bool, string) {
		var err error
		claim, err = r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, fmt.Sprint(err, r.Events("PersistentVolumeClaim", name))
	})
	v, err := r.Kube.CoreV1().PersistentVolumes().Get(r.T.Context(), claim.Spec.VolumeName, metav1.GetOptions{})
	require.NoError(r.T, err)
	return claim, v
}

// phase waits until a volume is in a phase.
func (r *rig) phase(volume string, want corev1.PersistentVolumePhase) *corev1.PersistentVolume {
	r.T.Helper()
	var v *corev1.PersistentVolume
	r.Eventually("volume "+volume+" is "+string(want), func() (bool, string) {
		var err error
		v, err = r.Kube.CoreV1().PersistentVolumes().Get(r.T.Context(), volume, metav1.GetOptions{})
		return err == nil && v.Status.Phase == want, fmt.Sprint(v.Status, err)
	})
	return v
}

// noVolume waits until a volume is gone.
func (r *rig) noVolume(name string) {
	r.T.Helper()
	r.Eventually("volume "+name+" is gone", func() (bool, string) {
		v, err := r.Kube.CoreV1().PersistentVolumes().Get(r.T.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(v.Status)
	})
}

// event waits for an event of an object, as kubectl describe shows it, whose message contains text.
func (r *rig) event(kind, name, reason, text string) corev1.Event {
	r.T.Helper()
	found := r.Event(kind, name, reason, text)
	require.NotContains(r.T, found.Message, r.cluster.Spec().Dir, "nothing shows where the cluster is on the host")
	host, err := os.Hostname()
	require.NoError(r.T, err)
	require.NotContains(r.T, found.Source.Component+"_"+found.ReportingController, "_"+host+"_")
	return found
}
