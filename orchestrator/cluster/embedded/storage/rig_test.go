package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// patience is how long the cluster may take to follow.
const patience = 90 * time.Second

// shared is the cluster of all tests of the package.
var shared struct {
	once    sync.Once
	cluster *embedded.Cluster
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if dir := os.Getenv("GAMEDAY_E2E_LOGS"); code != 0 && dir != "" {
			_ = shared.cluster.CollectLogs(context.Background(), dir)
		}
		if err := shared.cluster.Down(context.Background()); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// rig is a namespace of its own in the shared cluster.
type rig struct {
	t    *testing.T
	ns   string
	rest *rest.Config
	kube kubernetes.Interface
	// cluster has the nodes' directories and processes.
	cluster *embedded.Cluster
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up a whole cluster")
	}
	shared.once.Do(func() {
		c, err := (&embedded.Provider{}).Up(context.Background(), cluster.Spec{Nodes: 2})
		if shared.err = err; err == nil {
			shared.cluster = c.(*embedded.Cluster)
		}
	})
	require.NoError(t, shared.err)
	r := &rig{t: t, cluster: shared.cluster, rest: shared.cluster.RESTConfig()}
	var err error
	r.kube, err = kubernetes.NewForConfig(r.rest)
	require.NoError(t, err)
	ns, err := r.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "storage-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	r.ns = ns.Name
	t.Cleanup(func() {
		require.NoError(t, r.kube.CoreV1().Namespaces().Delete(context.Background(), r.ns, metav1.DeleteOptions{}))
	})
	r.eventually("service account", func() (bool, string) {
		_, err := r.kube.CoreV1().ServiceAccounts(r.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil, fmt.Sprint(err)
	})
	return r
}

func (r *rig) eventually(what string, condition func() (bool, string)) {
	r.t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(r.t.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		done, seen := condition()
		last = seen
		return done, nil
	})
	require.NoError(r.t, err, "%s: %s", what, last)
}

// claim makes a claim; class "" means the default one.
func (r *rig) claim(name, class, size string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	r.t.Helper()
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{mode},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
	}}
	if class != "" {
		c.Spec.StorageClassName = &class
	}
	c, err := r.kube.CoreV1().PersistentVolumeClaims(r.ns).Create(r.t.Context(), c, metav1.CreateOptions{})
	require.NoError(r.t, err)
	return c
}

// pod makes a pod with one shell and the given volumes, each mounted at /<its name>. change may be nil.
func (r *rig) pod(name string, change func(*corev1.PodSpec), volumes ...corev1.Volume) *corev1.Pod {
	r.t.Helper()
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
	p, err := r.kube.CoreV1().Pods(r.ns).Create(r.t.Context(), p, metav1.CreateOptions{})
	require.NoError(r.t, err)
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

// running waits until a pod runs and returns it.
func (r *rig) running(name string) *corev1.Pod {
	r.t.Helper()
	var pod *corev1.Pod
	r.eventually("pod "+name+" runs", func() (bool, string) {
		var err error
		if pod, err = r.kube.CoreV1().Pods(r.ns).Get(r.t.Context(), name, metav1.GetOptions{}); err != nil {
			return false, err.Error()
		}
		for _, c := range pod.Status.ContainerStatuses {
			if !c.Ready {
				return false, fmt.Sprint(pod.Status, r.events("Pod", name))
			}
		}
		return pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil, fmt.Sprint(pod.Status, r.events("Pod", name))
	})
	return pod
}

// deletePod deletes a pod and waits until it is gone.
func (r *rig) deletePod(name string) {
	r.t.Helper()
	require.NoError(r.t, r.kube.CoreV1().Pods(r.ns).Delete(r.t.Context(), name, metav1.DeleteOptions{}))
	r.eventually("pod "+name+" is gone", func() (bool, string) {
		p, err := r.kube.CoreV1().Pods(r.ns).Get(r.t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(p.Status)
	})
}

func (r *rig) deleteClaim(name string) {
	r.t.Helper()
	require.NoError(r.t, r.kube.CoreV1().PersistentVolumeClaims(r.ns).Delete(r.t.Context(), name, metav1.DeleteOptions{}))
}

// bound waits until a claim is bound and returns it with its volume.
func (r *rig) bound(name string) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	r.t.Helper()
	var claim *corev1.PersistentVolumeClaim
	r.eventually("claim "+name+" is bound", func() (bool, string) {
		var err error
		claim, err = r.kube.CoreV1().PersistentVolumeClaims(r.ns).Get(r.t.Context(), name, metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, fmt.Sprint(err, r.events("PersistentVolumeClaim", name))
	})
	v, err := r.kube.CoreV1().PersistentVolumes().Get(r.t.Context(), claim.Spec.VolumeName, metav1.GetOptions{})
	require.NoError(r.t, err)
	return claim, v
}

// phase waits until a volume is in a phase.
func (r *rig) phase(volume string, want corev1.PersistentVolumePhase) *corev1.PersistentVolume {
	r.t.Helper()
	var v *corev1.PersistentVolume
	r.eventually("volume "+volume+" is "+string(want), func() (bool, string) {
		var err error
		v, err = r.kube.CoreV1().PersistentVolumes().Get(r.t.Context(), volume, metav1.GetOptions{})
		return err == nil && v.Status.Phase == want, fmt.Sprint(v.Status, err)
	})
	return v
}

// noVolume waits until a volume is gone.
func (r *rig) noVolume(name string) {
	r.t.Helper()
	r.eventually("volume "+name+" is gone", func() (bool, string) {
		v, err := r.kube.CoreV1().PersistentVolumes().Get(r.t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(v.Status)
	})
}

// event waits for an event of an object, as kubectl describe shows it, whose message contains text.
func (r *rig) event(kind, name, reason, text string) corev1.Event {
	r.t.Helper()
	var found corev1.Event
	r.eventually(fmt.Sprintf("event %s of %s %s says %q", reason, kind, name, text), func() (bool, string) {
		all := r.events(kind, name)
		for _, e := range all {
			if e.Reason == reason && strings.Contains(e.Message, text) {
				found = e
				return true, ""
			}
		}
		var b strings.Builder
		for _, e := range all {
			fmt.Fprintf(&b, "\n%s %s %s", e.Type, e.Reason, e.Message)
		}
		return false, b.String()
	})
	require.NotContains(r.t, found.Message, r.cluster.Spec().Dir, "nothing shows where the cluster is on the host")
	host, err := os.Hostname()
	require.NoError(r.t, err)
	require.NotContains(r.t, found.Source.Component+"_"+found.ReportingController, "_"+host+"_")
	return found
}

func (r *rig) events(kind, name string) []corev1.Event {
	list, err := r.kube.CoreV1().Events("").List(r.t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
	require.NoError(r.t, err)
	return list.Items
}

// sh runs a shell script in a pod and returns its output and exit code.
func (r *rig) sh(pod, script string) (string, int) {
	r.t.Helper()
	req := r.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(r.ns).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"sh", "-c", script}, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(r.rest, "POST", req.URL())
	require.NoError(r.t, err)
	var out, errs bytes.Buffer
	err = executor.StreamWithContext(r.t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	var exit interface{ ExitStatus() int }
	if errors.As(err, &exit) {
		return out.String() + errs.String(), exit.ExitStatus()
	}
	if err != nil {
		p, _ := r.kube.CoreV1().Pods(r.ns).Get(r.t.Context(), pod, metav1.GetOptions{})
		logs, _ := r.kube.CoreV1().Pods(r.ns).GetLogs(pod, &corev1.PodLogOptions{Previous: true}).DoRaw(r.t.Context())
		r.t.Fatalf("exec in %s: %v: %s\n%+v\n%s", pod, err, errs.String(), p.Status, logs)
	}
	return out.String() + errs.String(), 0
}

// ok runs a script that has to succeed.
func (r *rig) ok(pod, script string) string {
	r.t.Helper()
	out, code := r.sh(pod, script)
	require.Zero(r.t, code, "%s: %s", script, out)
	return strings.TrimSpace(out)
}

// fails runs a script that has to fail with these words.
func (r *rig) fails(pod, script, words string) {
	r.t.Helper()
	out, code := r.sh(pod, script)
	if code == 0 {
		state, _ := r.sh(pod, "df; ls -l /data")
		r.t.Fatalf("%s succeeds: %s\n%s", script, out, state)
	}
	require.Contains(r.t, out, words, script)
}
