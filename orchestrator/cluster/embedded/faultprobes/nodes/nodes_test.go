package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// small is a node that can be exhausted. Only what tolerates its taint comes there.
const small = "small"

func smallNode() cluster.NodeGroup {
	return cluster.NodeGroup{
		Name: small, CPU: "2", Memory: "640Mi", Disk: "512Mi", PIDs: 160, Devices: map[string]int{"nvidia.com/gpu": 2},
		Labels: map[string]string{corev1.LabelTopologyZone: "zone-z"},
		Taints: []cluster.Taint{{Key: "dedicated", Value: small, Effect: "NoSchedule"}},
		Eviction: &cluster.Eviction{Hard: map[string]string{
			"memory.available": "240Mi", "nodefs.available": "40%", "imagefs.available": "40%", "pid.available": "90",
		}},
	}
}

// nodeProbe is the application with one of its services on the small node, which only that node can run.
type nodeProbe struct {
	*clustertest.Site
	service string
}

// TestNodes breaks the node of a service in every way that nodes break.
func TestNodes(t *testing.T) {
	p := &nodeProbe{Site: fixture.Site(t, rate), service: "geo"}
	p.settle()
	for _, probe := range []struct {
		name string
		run  func(*nodeProbe)
	}{
		{"shape", (*nodeProbe).shape},
		{"device", (*nodeProbe).device},
		{"kubelet", (*nodeProbe).kubelet},
		{"memory", (*nodeProbe).memory},
		{"clock", (*nodeProbe).clock},
		{"disk", (*nodeProbe).disk},
		{"crash", (*nodeProbe).crash},
		{"hang", (*nodeProbe).hang},
		{"taint", (*nodeProbe).taint},
		{"drain", (*nodeProbe).drain},
		{"exhaustion", (*nodeProbe).exhaustion},
		{"pids", (*nodeProbe).pids},
	} {
		t.Run(probe.name, func(t *testing.T) {
			part := &nodeProbe{Site: p.With(t), service: p.service}
			probe.run(part)
			part.sweep()
			part.Healthy()
		})
	}
}

// settle moves the service to the small node for the test.
func (p *nodeProbe) settle() {
	p.T.Helper()
	deployments := p.Kube.AppsV1().Deployments(p.Namespace)
	before, err := deployments.Get(p.T.Context(), p.service, metav1.GetOptions{})
	require.NoError(p.T, err)
	p.T.Cleanup(func() {
		patch := []map[string]any{
			{"op": "replace", "path": "/spec/template/spec", "value": before.Spec.Template.Spec}, {"op": "replace", "path": "/spec/strategy", "value": before.Spec.Strategy},
		}
		p.patch(patch)
	})
	spec := before.Spec.Template.Spec.DeepCopy()
	spec.NodeSelector = map[string]string{corev1.LabelHostname: small}
	spec.Tolerations = []corev1.Toleration{
		{Key: "dedicated", Operator: corev1.TolerationOpExists},
		// The pod stays bound to a node that is away, as one with a volume of that node would.
		{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists}, {Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists},
	}
	// It uses more memory than it asked for: the first to be evicted.
	spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = resource.MustParse("1Mi")
	p.patch([]map[string]any{
		{"op": "replace", "path": "/spec/strategy", "value": map[string]any{"type": "Recreate"}},
		{"op": "replace", "path": "/spec/template/spec", "value": spec},
	})
	p.Available(p.service)
	p.Healthy()
}

// patch changes the service's deployment.
func (p *nodeProbe) patch(operations []map[string]any) {
	p.T.Helper()
	data, err := json.Marshal(operations)
	require.NoError(p.T, err)
	_, err = p.Kube.AppsV1().Deployments(p.Namespace).Patch(context.Background(), p.service, types.JSONPatchType, data, metav1.PatchOptions{})
	require.NoError(p.T, err)
}

// sweep deletes the service's pods that have been evicted, as whoever looks after the cluster would: the alert about them
// goes on for as long as they are listed.
func (p *nodeProbe) sweep() {
	p.T.Helper()
	for _, phase := range []corev1.PodPhase{corev1.PodFailed, corev1.PodSucceeded} {
		require.NoError(p.T, p.Kube.CoreV1().Pods(p.Namespace).DeleteCollection(p.T.Context(), metav1.DeleteOptions{},
			metav1.ListOptions{LabelSelector: "app=" + p.service, FieldSelector: "status.phase=" + string(phase)}))
	}
}

// pod waits for the service's ready pod on the small node.
func (p *nodeProbe) pod() corev1.Pod {
	p.T.Helper()
	var found corev1.Pod
	p.Eventually("the service's pod is ready on the small node", func() (bool, string) {
		pods := p.ReadyPods("app=" + p.service)
		if len(pods) != 1 || pods[0].Spec.NodeName != small {
			return false, fmt.Sprint(len(pods), " pods")
		}
		found = pods[0]
		return true, ""
	})
	return found
}

// pending waits until a pod of the service is unschedulable, with these words.
func (p *nodeProbe) pending(words string) {
	p.T.Helper()
	p.Eventually("a pod of the service cannot be scheduled: "+words, func() (bool, string) {
		list, err := p.Kube.CoreV1().Pods(p.Namespace).List(p.T.Context(), metav1.ListOptions{LabelSelector: "app=" + p.service})
		if err != nil {
			return false, err.Error()
		}
		seen := ""
		for _, pod := range list.Items {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
					seen += c.Message
				}
			}
		}
		return strings.Contains(seen, words), seen
	})
}

// node waits until the telemetry shows a condition of the small node.
func (p *nodeProbe) node(condition, status string) {
	p.T.Helper()
	p.Value(fmt.Sprintf("%s=%s", condition, status),
		fmt.Sprintf(`kube_node_status_condition{node=%q,condition=%q,status=%q}`, small, condition, status), func(v float64) bool { return v == 1 })
}

// update changes the node object.
func (p *nodeProbe) update(change func(*corev1.Node)) {
	p.T.Helper()
	p.Eventually("the node is updated", func() (bool, string) {
		n, err := p.Kube.CoreV1().Nodes().Get(context.Background(), small, metav1.GetOptions{})
		require.NoError(p.T, err)
		change(n)
		_, err = p.Kube.CoreV1().Nodes().Update(context.Background(), n, metav1.UpdateOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// guest makes a pod on the small node, in a namespace of its own.
func (p *nodeProbe) guest(spec string) *clustertest.Rig {
	p.T.Helper()
	r := fixture.Rig(p.T)
	r.Apply(`apiVersion: v1
kind: Pod
metadata: {name: guest, labels: {app: guest}}
spec:
  nodeSelector: {kubernetes.io/hostname: small}
  tolerations: [{key: dedicated, operator: Exists}]
  terminationGracePeriodSeconds: 1
  ` + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  "))
	return r
}

// evicted waits until the kubelet has evicted the guest for want of something.
func (p *nodeProbe) evicted(r *clustertest.Rig, resource string) {
	p.T.Helper()
	r.Pod("guest", "is evicted", func(pod *corev1.Pod) bool {
		return pod.Status.Reason == "Evicted" && strings.Contains(pod.Status.Message, "The node was low on resource: "+resource)
	})
	r.DeletePod("guest")
}

func (p *nodeProbe) shape() {
	n, err := p.Kube.CoreV1().Nodes().Get(p.T.Context(), small, metav1.GetOptions{})
	require.NoError(p.T, err)
	require.Equal(p.T, "zone-z", n.Labels[corev1.LabelTopologyZone])
	require.Contains(p.T, n.Spec.Taints, corev1.Taint{Key: "dedicated", Value: small, Effect: corev1.TaintEffectNoSchedule})
	for name, want := range map[corev1.ResourceName]string{"cpu": "2", "memory": "640Mi", "ephemeral-storage": "512Mi", "nvidia.com/gpu": "2"} {
		got := n.Status.Capacity[name]
		require.Zero(p.T, got.Cmp(resource.MustParse(want)), "%s: %s", name, got.String())
	}
}

func (p *nodeProbe) kubelet() {
	kubelets := p.Cluster.(cluster.KubeletController)
	before := p.pod()
	require.NoError(p.T, kubelets.StopKubelet(p.T.Context(), small))
	p.node("Ready", "unknown")
	_, err := p.Kube.CoreV1().Pods(p.Namespace).GetLogs(before.Name, &corev1.PodLogOptions{}).DoRaw(p.T.Context())
	require.Error(p.T, err, "nobody serves logs")
	p.Misses("search-availability")
	require.NoError(p.T, kubelets.StartKubelet(p.T.Context(), small))
	p.node("Ready", "true")
	after := p.pod()
	require.Equal(p.T, before.UID, after.UID)
	require.Equal(p.T, before.Status.ContainerStatuses[0].ContainerID, after.Status.ContainerStatuses[0].ContainerID, "the container went on")
}

func (p *nodeProbe) hang() {
	nodes := p.Cluster.(cluster.NodeController)
	before := p.pod()
	require.NoError(p.T, nodes.HangNode(p.T.Context(), small))
	p.Misses("search-availability")
	p.node("Ready", "unknown")
	require.NoError(p.T, nodes.RestartNode(p.T.Context(), small))
	p.node("Ready", "true")
	require.Equal(p.T, before.UID, p.pod().UID)
}

func (p *nodeProbe) crash() {
	nodes := p.Cluster.(cluster.NodeController)
	before := p.pod()
	require.NoError(p.T, nodes.CrashNode(p.T.Context(), small))
	p.Misses("search-availability")
	p.node("Ready", "unknown")
	require.NoError(p.T, nodes.RestartNode(p.T.Context(), small))
	p.node("Ready", "true")
	p.Eventually("the container was started anew", func() (bool, string) {
		after := p.pod()
		return after.UID == before.UID && after.Status.ContainerStatuses[0].RestartCount > before.Status.ContainerStatuses[0].RestartCount, fmt.Sprint(after.Status)
	})
}

func (p *nodeProbe) taint() {
	p.pod()
	p.update(func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "example.com/broken", Effect: corev1.TaintEffectNoExecute})
	})
	p.pending("untolerated taint")
	p.Misses("search-availability")
	p.update(func(n *corev1.Node) {
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "example.com/broken" })
	})
	p.pod()
}

func (p *nodeProbe) drain() {
	pod := p.pod()
	cordon := func(on bool) { p.update(func(n *corev1.Node) { n.Spec.Unschedulable = on }) }
	cordon(true)
	p.T.Cleanup(func() { cordon(false) })
	budgets := p.Kube.PolicyV1().PodDisruptionBudgets(p.Namespace)
	// A pod may have one budget only: the application's own is made stricter.
	budget := func(spec string) {
		_, err := budgets.Patch(context.Background(), p.service, types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec","value":`+spec+`}]`), metav1.PatchOptions{})
		require.NoError(p.T, err)
	}
	own, err := budgets.Get(p.T.Context(), p.service, metav1.GetOptions{})
	require.NoError(p.T, err)
	before, err := json.Marshal(own.Spec)
	require.NoError(p.T, err)
	p.T.Cleanup(func() { budget(string(before)) })
	budget(`{"minAvailable":1,"selector":{"matchLabels":{"app":"geo"}}}`)
	p.Eventually("the budget allows nothing", func() (bool, string) {
		b, err := budgets.Get(p.T.Context(), p.service, metav1.GetOptions{})
		return err == nil && b.Status.ObservedGeneration == b.Generation && b.Status.CurrentHealthy == 1 && b.Status.DisruptionsAllowed == 0, fmt.Sprint(b.Status, err)
	})
	evict := func() error {
		return p.Kube.PolicyV1().Evictions(p.Namespace).Evict(p.T.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: p.Namespace}})
	}
	err = evict()
	require.True(p.T, apierrors.IsTooManyRequests(err), "the budget protects the pod: %v", err)
	budget(`{"maxUnavailable":1,"selector":{"matchLabels":{"app":"geo"}}}`)
	p.Eventually("the pod is evicted", func() (bool, string) {
		err := evict()
		return err == nil || apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	p.pending("unschedulable")
	p.Misses("search-availability")
	cordon(false)
	p.pod()
}

func (p *nodeProbe) exhaustion() {
	before := p.pod()
	r := p.guest(`priorityClassName: system-cluster-critical
containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600'], resources: {requests: {cpu: 1960m}}}]`)
	r.Running("guest")
	p.Event("Pod", before.Name, "Preempted", "Preempted by")
	p.pending("Insufficient cpu")
	p.Misses("search-availability")
	r.DeletePod("guest")
	p.pod()
}

func (p *nodeProbe) device() {
	devices := p.Cluster.(cluster.DeviceController)
	r := p.guest("containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600'], resources: {limits: {nvidia.com/gpu: 1}}}]")
	r.Running("guest")
	require.Regexp(p.T, "^gpu-[01]$", r.OK("guest", "echo $NVIDIA_VISIBLE_DEVICES"))
	allocatable := fmt.Sprintf(`kube_node_status_allocatable{node=%q,resource="nvidia_com_gpu"}`, small)
	require.NoError(p.T, devices.SetDeviceHealth(p.T.Context(), small, "nvidia.com/gpu", "", false))
	p.Value("no device that works", allocatable, func(v float64) bool { return v == 0 })
	r.DeletePod("guest")
	again := p.guest("containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600'], resources: {limits: {nvidia.com/gpu: 2}}}]")
	again.Pod("guest", "finds no device", func(pod *corev1.Pod) bool {
		return len(pod.Status.Conditions) > 0 && strings.Contains(pod.Status.Conditions[0].Message, "Insufficient nvidia.com/gpu")
	})
	require.NoError(p.T, devices.SetDeviceHealth(p.T.Context(), small, "nvidia.com/gpu", "gpu-1", true))
	p.Value("one device that works", allocatable, func(v float64) bool { return v == 1 })
	require.NoError(p.T, devices.SetDeviceHealth(p.T.Context(), small, "nvidia.com/gpu", "", true))
	again.Running("guest")
	require.Equal(p.T, "gpu-0,gpu-1", again.OK("guest", "echo $NVIDIA_VISIBLE_DEVICES"))
	require.Error(p.T, devices.SetDeviceHealth(p.T.Context(), small, "nvidia.com/gpu", "gpu-7", false))
	again.DeletePod("guest")
}

func (p *nodeProbe) clock() {
	clocks := p.Cluster.(cluster.ClockController)
	r := p.guest("containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600']}]")
	r.Running("guest")
	off := func() time.Duration {
		seconds, err := strconv.ParseInt(r.OK("guest", "date +%s"), 10, 64)
		require.NoError(p.T, err)
		return time.Since(time.Unix(seconds, 0)).Abs()
	}
	require.Less(p.T, off(), time.Minute)
	require.NoError(p.T, clocks.SetClock(p.T.Context(), small, -time.Hour))
	require.Greater(p.T, off(), 59*time.Minute)
	require.NoError(p.T, clocks.SetClock(p.T.Context(), small, 0))
	require.Less(p.T, off(), time.Minute)
	r.DeletePod("guest")
}

func (p *nodeProbe) memory() {
	before := p.pod()
	// The guest stays within what it asked for, and the service does not: the service is the one to go.
	r := p.guest("containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600'], resources: {requests: {memory: 560Mi}}}]")
	r.Running("guest")
	r.Apply(`apiVersion: chaos-mesh.org/v1alpha1
kind: StressChaos
metadata: {name: hog}
spec:
  mode: all
  selector: {labelSelectors: {app: guest}}
  stressors: {memory: {workers: 1, size: 450MB}}
`)
	p.node("MemoryPressure", "true")
	// A program that ends well on SIGTERM leaves a pod that succeeded: only the condition says what happened to it.
	p.Pod(before.Name, "is evicted", func(pod *corev1.Pod) bool {
		return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Reason == corev1.PodReasonTerminationByKubelet && strings.Contains(c.Message, "The node was low on resource: memory")
		})
	})
	p.Misses("search-availability")
	r.DeletePod("guest")
	p.node("MemoryPressure", "false")
	p.pod()
}

func (p *nodeProbe) disk() {
	r := p.guest("containers: [{name: c, image: 'registry.local/library/busybox:1.36', command: [sh, -c, 'head -c 400000000 /dev/zero > /tmp/full; sleep 3600']}]")
	p.node("DiskPressure", "true")
	p.evicted(r, "ephemeral-storage")
	p.node("DiskPressure", "false")
}

func (p *nodeProbe) pids() {
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("{name: c%d, image: 'registry.local/library/busybox:1.36', command: [sleep, '3600']}", i))
	}
	r := p.guest("containers: [" + strings.Join(all, ", ") + "]")
	p.node("PIDPressure", "true")
	p.evicted(r, "pids")
	p.node("PIDPressure", "false")
}
