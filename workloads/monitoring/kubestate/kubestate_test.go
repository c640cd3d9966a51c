package kubestate

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

var created = metav1.NewTime(time.Unix(1_900_000_000, 0))

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "hotel", Name: name, UID: "u", CreationTimestamp: created, Generation: 2}
}

func crashingPod() *corev1.Pod {
	o := meta("geo-1")
	o.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "geo-rs", Controller: ptr.To(true)}}
	return &corev1.Pod{ObjectMeta: o,
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "geo", Image: "geo:1", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "geo", RestartCount: 3,
				State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 2}}}},
		}}
}

// scrape serves the objects' metrics and reads them as Prometheus would.
func scrape(t *testing.T, client *fake.Clientset) map[string]*dto.MetricFamily {
	t.Helper()
	c, err := Watch(t.Context(), client)
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	Handler(c).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, rec.Code)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(rec.Body.String()))
	require.NoError(t, err)
	return families
}

// value returns the value of the series of a family whose labels include those given as pairs.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, pairs ...string) float64 {
	t.Helper()
	require.Contains(t, families, name)
	for _, m := range families[name].Metric {
		matched := 0
		for i := 0; i < len(pairs); i += 2 {
			if slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == pairs[i] && l.GetValue() == pairs[i+1] }) {
				matched++
			}
		}
		if matched == len(pairs)/2 {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	require.Failf(t, "no such series", "%s%v in %v", name, pairs, families[name].Metric)
	return 0
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"},
		Spec: corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "node.kubernetes.io/unreachable", Effect: "NoSchedule"}}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: "Ready", Status: "Unknown"}},
			Capacity: corev1.ResourceList{"pods": resource.MustParse("110"), "cpu": resource.MustParse("4")}}}
	client := fake.NewClientset(crashingPod(), node,
		&appsv1.Deployment{ObjectMeta: meta("geo"), Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](3)}, Status: appsv1.DeploymentStatus{AvailableReplicas: 2, ObservedGeneration: 2}},
		&appsv1.StatefulSet{ObjectMeta: meta("db"), Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}},
		&appsv1.ReplicaSet{ObjectMeta: meta("old"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](0)}},
		&corev1.Service{ObjectMeta: meta("geo"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.5", Type: corev1.ServiceTypeClusterIP}},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "geo-x", Labels: map[string]string{discoveryv1.LabelServiceName: "geo"}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}}},
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To[int32](8083)}}},
		&batchv1.Job{ObjectMeta: meta("seed"), Status: batchv1.JobStatus{Failed: 1, Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}}},
		&corev1.ResourceQuota{ObjectMeta: meta("q"), Status: corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{"pods": resource.MustParse("5")}}},
	)
	families := scrape(t, client)
	pod := []string{"namespace", "hotel", "pod", "geo-1"}
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"kube_pod_info", append(pod, "node", "node-1", "created_by_kind", "ReplicaSet", "created_by_name", "geo-rs", "pod_ip", "10.0.0.1"), 1},
		{"kube_pod_status_phase", append(pod, "phase", "Running"), 1},
		{"kube_pod_status_phase", append(pod, "phase", "Pending"), 0},
		{"kube_pod_status_ready", append(pod, "condition", "true"), 0},
		{"kube_pod_status_ready", append(pod, "condition", "false"), 1},
		{"kube_pod_container_status_waiting_reason", append(pod, "container", "geo", "reason", "CrashLoopBackOff"), 1},
		{"kube_pod_container_status_restarts_total", append(pod, "container", "geo"), 3},
		{"kube_pod_container_status_last_terminated_exitcode", append(pod, "container", "geo"), 2},
		{"kube_pod_container_resource_requests", append(pod, "resource", "cpu", "unit", "core"), 0.25},
		{"kube_pod_container_resource_requests", append(pod, "resource", "memory", "unit", "byte"), 64 << 20},
		{"kube_deployment_spec_replicas", []string{"deployment", "geo"}, 3},
		{"kube_deployment_status_replicas_available", []string{"deployment", "geo"}, 2},
		{"kube_statefulset_replicas", []string{"statefulset", "db"}, 1},
		{"kube_node_spec_unschedulable", []string{"node", "node-1"}, 1},
		{"kube_node_status_condition", []string{"node", "node-1", "condition", "Ready", "status", "unknown"}, 1},
		{"kube_node_status_condition", []string{"node", "node-1", "condition", "Ready", "status", "true"}, 0},
		{"kube_node_status_capacity", []string{"resource", "pods", "unit", "integer"}, 110},
		{"kube_node_spec_taint", []string{"key", "node.kubernetes.io/unreachable", "effect", "NoSchedule"}, 1},
		{"kube_service_info", []string{"service", "geo", "cluster_ip", "10.96.0.5"}, 1},
		{"kube_endpoint_address", []string{"endpoint", "geo", "ip", "10.0.0.1", "ready", "false"}, 1},
		{"kube_endpoint_ports", []string{"endpoint", "geo", "port_number", "8083"}, 1},
		{"kube_job_failed", []string{"job_name", "seed", "condition", "true"}, 1},
		{"kube_resourcequota", []string{"resource", "pods", "type", "hard"}, 5},
		{"kube_pod_created", pod, 1_900_000_000},
	}
	for _, tc := range tests {
		require.InDelta(t, tc.want, value(t, families, tc.name, tc.labels...), 1e-9, "%s %v", tc.name, tc.labels)
	}
	require.NotContains(t, families, "kube_replicaset_spec_replicas", "emptied sets are history")
}

func TestItFollowsTheCluster(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(crashingPod())
	c, err := Watch(t.Context(), client)
	require.NoError(t, err)
	require.NoError(t, client.CoreV1().Pods("hotel").Delete(t.Context(), "geo-1", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		var b strings.Builder
		_, err := c.WriteTo(&b)
		return err == nil && !strings.Contains(b.String(), "geo-1")
	}, 5*time.Second, 10*time.Millisecond)
}

func TestLabelsAreEscaped(t *testing.T) {
	t.Parallel()
	p := page{}
	p.add("m", labels{"a", "x\"y\\z\nw"}, 1)
	require.Equal(t, "m{a=\"x\\\"y\\\\z\\nw\"} 1\n", string(p["m"]))
}
