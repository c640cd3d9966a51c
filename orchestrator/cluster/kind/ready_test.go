package kind

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

func liveNode(name string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Message: "container runtime is down"}},
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: "172.19.0.2"}},
		},
	}
}

func coreDNS(available int32) *appsv1.Deployment {
	replicas := int32(2)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: metav1.NamespaceSystem, Labels: map[string]string{"k8s-app": "kube-dns"}},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas}, Status: appsv1.DeploymentStatus{AvailableReplicas: available},
	}
}

func class(isDefault string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "standard", Annotations: map[string]string{defaultClass: isDefault}}}
}

func twoNodes() []node {
	return []node{{controlPlane, "x-control-plane", false}, {"node-1", "x-worker", true}}
}

func TestUnready(t *testing.T) {
	t.Parallel()
	plane, worker := liveNode(controlPlane, corev1.ConditionTrue), liveNode("node-1", corev1.ConditionTrue)
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    string
	}{
		"ready":          {[]runtime.Object{plane, worker, coreDNS(2), class("true")}, ""},
		"not joined":     {[]runtime.Object{plane, coreDNS(2), class("true")}, "node node-1 (container x-worker) has not joined"},
		"node not ready": {[]runtime.Object{plane, liveNode("node-1", corev1.ConditionFalse), coreDNS(2), class("true")}, "node node-1 is not Ready: container runtime is down"},
		"silent node":    {[]runtime.Object{plane, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}}, "its kubelet has not said anything"},
		"no DNS":         {[]runtime.Object{plane, worker, class("true")}, "there is no CoreDNS"},
		"DNS not ready":  {[]runtime.Object{plane, worker, coreDNS(1), class("true")}, "CoreDNS has 1 replicas available"},
		"no storage":     {[]runtime.Object{plane, worker, coreDNS(2)}, "there is no default StorageClass"},
		"other storage":  {[]runtime.Object{plane, worker, coreDNS(2), class("false")}, "there is no default StorageClass"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := unready(t.Context(), fake.NewClientset(tc.objects...), twoNodes())
			require.NoError(t, err)
			require.Contains(t, got, tc.want)
			require.Equal(t, tc.want == "", got == "")
		})
	}
}

func TestWaitReadySaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	kube := fake.NewClientset(liveNode(controlPlane, corev1.ConditionTrue))
	fakeClock := clocktesting.NewFakeClock(time.Unix(0, 0))
	ended := make(chan error, 1)
	go func() { ended <- waitReady(t.Context(), kube, twoNodes(), fakeClock) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			require.EqualError(t, err, "wait for the cluster: not ready after 3m0s: node node-1 (container x-worker) has not joined")
			return
		case <-tick.C:
			fakeClock.Step(time.Second)
		}
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	err := until(ctx, clock.RealClock{}, time.Hour, func(context.Context) (string, error) {
		cancel(errors.New("node-1 was lost"))
		return "CoreDNS has 0 replicas available", nil
	})
	require.EqualError(t, err, "node-1 was lost: CoreDNS has 0 replicas available")
}

// TestTidy: nothing that kubeadm and kind leave in the cluster tells of the harness.
func TestTidy(t *testing.T) {
	t.Parallel()
	const full, plane = "gameday-x-demo", "gameday-x-demo-control-plane"
	text := func(namespace, name, value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string]string{"config": value, "other": "same"}}
	}
	kube := fake.NewClientset(
		liveNode(controlPlane, corev1.ConditionTrue),
		text(metav1.NamespaceSystem, "kubeadm-config", "controlPlaneEndpoint: "+plane+":6443\nclusterName: "+full+"\n"),
		text(metav1.NamespacePublic, "cluster-info", "server: https://"+plane+":6443"),
		&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "kindnet", Namespace: metav1.NamespaceSystem}, Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "cni", Env: []corev1.EnvVar{
				{Name: "CONTROL_PLANE_ENDPOINT", Value: plane + ":6443"}, {Name: "POD_SUBNET", Value: "10.244.0.0/16"},
			}}}},
		}}},
		revision("kindnet-old", plane+":6443"), revision("kindnet-new", "172.19.0.2:6443"),
	)
	c := &Cluster{full: full, kube: kube, clock: clock.RealClock{}, layout: &layout{nodes: []node{{"node-1", full + "-worker", true}, {controlPlane, plane, false}}}}
	require.NoError(t, c.tidy(t.Context()))

	config, err := kube.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(t.Context(), "kubeadm-config", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"config": "controlPlaneEndpoint: 172.19.0.2:6443\nclusterName: kubernetes\n", "other": "same"}, config.Data)
	info, err := kube.CoreV1().ConfigMaps(metav1.NamespacePublic).Get(t.Context(), "cluster-info", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "server: https://172.19.0.2:6443", info.Data["config"])
	set, err := kube.AppsV1().DaemonSets(metav1.NamespaceSystem).Get(t.Context(), "kindnet", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "172.19.0.2:6443", set.Spec.Template.Spec.Containers[0].Env[0].Value)
	require.Equal(t, "10.244.0.0/16", set.Spec.Template.Spec.Containers[0].Env[1].Value)
	revisions, err := kube.AppsV1().ControllerRevisions(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, revisions.Items, 1)
	require.Equal(t, "kindnet-new", revisions.Items[0].Name, "the old template has the old name")
}

// revision is a template that a DaemonSet keeps, with an address in it.
func revision(name, address string) *appsv1.ControllerRevision {
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceSystem},
		Data:       runtime.RawExtension{Raw: fmt.Appendf(nil, `{"spec":{"template":{"value":%q}}}`, address)},
	}
}

// TestHostNames: nodes are called what Kubernetes calls them.
func TestHostNames(t *testing.T) {
	f := newDocker(t)
	c := running(t, f)
	c.renameHosts(t.Context(), c.layout.nodes...)
	require.Subset(t, f.calls(t), []string{
		"exec --privileged gameday-x-demo-control-plane hostname control-plane", "exec --privileged gameday-x-demo-worker2 hostname node-2",
	})
}

// TestLeftIsFoundWhileItsRecordGoes: a directory without the file that says what it is hides nothing.
func TestLeftIsFoundWhileItsRecordGoes(t *testing.T) {
	f := newDocker(t)
	f.container(t, ownPrefix()+"k-1", "k-1-worker", up)
	require.NoError(t, os.MkdirAll(filepath.Join(record.BaseDir(), "k-1"), 0o700))
	left, err := Left(t.Context())
	require.NoError(t, err)
	require.Equal(t, []record.Info{{Name: "k-1", Kind: Kind, Engine: docker, Status: record.Stale}}, left)
}

// running is a cluster whose containers are there, watched.
func running(t *testing.T, f *fakeDocker, objects ...runtime.Object) *Cluster {
	t.Helper()
	const full = "gameday-x-demo"
	nodes := []node{{controlPlane, full + "-control-plane", false}, {"node-1", full + "-worker", true}, {"node-2", full + "-worker2", true}}
	for _, n := range nodes {
		f.container(t, full, n.container, up)
	}
	c := &Cluster{
		name: "demo", full: full, engine: engine{docker}, layout: &layout{config: &v1alpha4.Cluster{}, nodes: nodes}, kube: fake.NewClientset(objects...), clock: clock.RealClock{},
		log: slog.New(slog.DiscardHandler), done: make(chan struct{}), expected: map[string]bool{}, started: map[string]string{},
	}
	c.watch(t.Context())
	t.Cleanup(func() { c.unwatch() })
	return c
}

// broken waits until the cluster has broken down, and returns why.
func broken(t *testing.T, f *fakeDocker, c *Cluster) string {
	t.Helper()
	f.write(t, "event", "")
	select {
	case <-c.Done():
		return c.Err().Error()
	case <-time.After(20 * time.Second):
		require.Fail(t, "the breakdown was not noticed")
		return ""
	}
}

func TestLostContainerIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ state, want string }{
		"killed": {`{"Status":"exited","ExitCode":137}`, "run node node-1: its container gameday-x-demo-worker has ended with exit code 137"},
		"memory": {`{"Status":"exited","ExitCode":137,"OOMKilled":true}`, "gameday-x-demo-worker ran out of memory"},
		"paused": {`{"Status":"paused","Paused":true}`, "gameday-x-demo-worker is paused"},
		"gone":   {"", "gameday-x-demo-worker is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDocker(t)
			c := running(t, f)
			require.NoError(t, c.Err())
			if tc.state == "" {
				f.remove(t, "c/gameday-x-demo-worker")
			} else {
				f.write(t, "c/gameday-x-demo-worker", tc.state)
			}
			require.Contains(t, broken(t, f, c), tc.want)
		})
	}
}

func TestRestartedContainerIsLost(t *testing.T) {
	f := newDocker(t)
	c := running(t, f)
	require.Eventually(t, func() bool {
		f.write(t, "event", "")
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.started["node-1"] != ""
	}, 10*time.Second, 20*time.Millisecond, "it was seen")
	f.write(t, "c/gameday-x-demo-worker", `{"Status":"running","StartedAt":"second"}`)
	require.Contains(t, broken(t, f, c), "had ended, and was started again by docker")
}

func TestSilentEngineIsABreakdown(t *testing.T) {
	f := newDocker(t)
	c := running(t, f)
	t.Setenv("PATH", t.TempDir())
	require.Contains(t, broken(t, f, c), "the container engine does not answer")
}

func TestNodesFailAndComeBack(t *testing.T) {
	f := newDocker(t)
	now := metav1.NewMicroTime(time.Now().Add(time.Minute))
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Namespace: corev1.NamespaceNodeLease}, Spec: coordinationv1.LeaseSpec{RenewTime: &now}}
	c := running(t, f, liveNode("node-1", corev1.ConditionTrue), lease)
	for _, stop := range []func(context.Context, string) error{c.CrashNode, c.HangNode} {
		require.NoError(t, stop(t.Context(), "node-1"))
		require.NoError(t, c.RestartNode(t.Context(), "node-1"))
		require.NoError(t, c.Err(), "what was asked for is no breakdown")
	}
	require.Contains(t, f.calls(t), "kill gameday-x-demo-worker")
	require.Contains(t, f.calls(t), "start gameday-x-demo-worker")
	confined := 0
	for _, call := range f.calls(t) {
		if strings.HasPrefix(call, "exec --privileged gameday-x-demo-worker ") && strings.Contains(call, "unreachable 10.244.0.0/16") {
			confined++
		}
	}
	require.Equal(t, 4, confined, "before the pods of a node start, and when it is back")
	require.Contains(t, f.calls(t), "pause gameday-x-demo-worker")
	require.Contains(t, f.calls(t), "unpause gameday-x-demo-worker")
	require.NoError(t, c.StopKubelet(t.Context(), "node-2"))
	require.Contains(t, f.calls(t), "exec --privileged gameday-x-demo-worker2 systemctl stop kubelet")
	require.ErrorContains(t, c.CrashNode(t.Context(), "node-9"), "no such node")
	require.ErrorContains(t, c.CrashNode(t.Context(), controlPlane), "it holds the control plane")
}

func TestRenewed(t *testing.T) {
	t.Parallel()
	since := time.Unix(1000, 0)
	at := func(seconds int64) *coordinationv1.Lease {
		renewed := metav1.NewMicroTime(time.Unix(seconds, 0))
		return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}}
	}
	require.False(t, renewed(&coordinationv1.Lease{}, since))
	require.False(t, renewed(at(990), since))
	require.True(t, renewed(at(1001), since))
}
