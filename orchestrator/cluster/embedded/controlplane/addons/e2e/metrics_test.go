package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
)

// TestMetrics runs on one cluster: what a part leaves behind, the next one starts from.
func TestMetrics(t *testing.T) {
	r := newRig(t)
	r.Apply(workloads)
	for _, part := range []struct {
		name string
		test func(*rig)
	}{
		{"cpu at its limit", cpuAtItsLimit},
		{"memory that grows", memoryThatGrows},
		{"kubectl top", kubectlTop},
		{"rights", rights},
		{"autoscaler", autoscaler},
		{"broken source", brokenSource},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			part.test(&rig{r.With(t), r.metrics})
		}) {
			return
		}
	}
}

// usage is the most that a pod of app uses.
func (r *rig) usage(app string) (cpu, memory int64, seen string) {
	list, err := r.metrics.MetricsV1beta1().PodMetricses(r.Namespace).List(r.T.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return 0, 0, err.Error()
	}
	for _, p := range list.Items {
		for _, c := range p.Containers {
			cpu, memory = max(cpu, c.Usage.Cpu().MilliValue()), max(memory, c.Usage.Memory().Value())
			seen += fmt.Sprintf("%s: %dm %d bytes over %v; ", p.Name, cpu, memory, p.Window.Duration)
		}
	}
	return cpu, memory, seen
}

// cpuAtItsLimit: a container that takes what it gets is shown at its limit of 50m, and as throttled.
func cpuAtItsLimit(r *rig) {
	r.Eventually("CPU is at its limit", func() (bool, string) {
		cpu, _, seen := r.usage("burner")
		return cpu >= 40 && cpu <= 60, seen
	})
	pods, err := r.Kube.CoreV1().Pods(r.Namespace).List(r.T.Context(), metav1.ListOptions{LabelSelector: "app=burner"})
	require.NoError(r.T, err)
	pod := pods.Items[0]
	r.Eventually("throttling shows", func() (bool, string) {
		periods := r.advised(pod, "container_cpu_cfs_periods_total")
		throttled := r.advised(pod, "container_cpu_cfs_throttled_periods_total")
		stopped := r.advised(pod, "container_cpu_cfs_throttled_seconds_total")
		used := r.advised(pod, "container_cpu_usage_seconds_total")
		seen := fmt.Sprintf("%v periods, %v throttled, %v s stopped, %v s used", periods, throttled, stopped, used)
		return throttled > 20 && throttled <= periods && stopped > used && used > 0, seen
	})
	require.Positive(r.T, r.advised(pod, "container_memory_working_set_bytes"))
}

// advised reads a figure of a pod's container from its kubelet's /metrics/cadvisor.
func (r *rig) advised(pod corev1.Pod, metric string) float64 {
	r.T.Helper()
	text, err := r.Kube.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes", pod.Spec.NodeName, "proxy/metrics/cadvisor").DoRaw(r.T.Context())
	require.NoError(r.T, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, metric+"{") && strings.Contains(line, `container="main"`) && strings.Contains(line, `pod="`+pod.Name+`"`) {
			require.Contains(r.T, line, `namespace="`+r.Namespace+`"`)
			require.Contains(r.T, line, `image="registry.local/library/busybox:1.36"`)
			v, err := strconv.ParseFloat(strings.Fields(line[strings.LastIndex(line, "}")+1:])[0], 64)
			require.NoError(r.T, err)
			return v
		}
	}
	return 0
}

func memoryThatGrows(r *rig) {
	var first int64
	r.Eventually("the memory of a growing container grows", func() (bool, string) {
		_, memory, seen := r.usage("grower")
		if first == 0 {
			first = memory
		}
		return first > 0 && memory > 20_000_000 && memory > first, seen
	})
}

func kubectlTop(r *rig) {
	k, err := kubectl.New(r, r.Namespace, r.T.TempDir())
	require.NoError(r.T, err)
	for line, want := range map[string]string{
		"top nodes":             `(?m)^node-1 +\d+m +\d+% +\d+Mi +\d+%`,
		"top pods --containers": `(?m)^burner-\S+ +main +\d+m +\d+Mi`,
		"top pods -A":           `(?m)^kube-system +metrics-server-\S+ +\d+m +\d+Mi`,
	} {
		r.Eventually(line, func() (bool, string) {
			out := k.Run(r.T.Context(), kubectl.Command{Line: line})
			return !out.Failed && regexp.MustCompile(want).MatchString(out.Text), out.Text
		})
	}
}

// rights: metrics.k8s.io is as closed as the rest of the API, and opens with the usual roles.
func rights(r *rig) {
	as := rest.CopyConfig(r.REST)
	as.Impersonate = rest.ImpersonationConfig{UserName: "mallory", Groups: []string{"system:authenticated"}}
	client, err := metricsclient.NewForConfig(as)
	require.NoError(r.T, err)
	_, err = client.MetricsV1beta1().PodMetricses(r.Namespace).List(r.T.Context(), metav1.ListOptions{})
	require.True(r.T, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(r.T, err, `User "mallory" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "`+r.Namespace+`"`)
	_, err = r.Kube.RbacV1().RoleBindings(r.Namespace).Create(r.T.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "mallory"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"}},
	}, metav1.CreateOptions{})
	require.NoError(r.T, err)
	r.Eventually("the right arrives", func() (bool, string) {
		_, err := client.MetricsV1beta1().PodMetricses(r.Namespace).List(r.T.Context(), metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
	_, err = client.MetricsV1beta1().NodeMetricses().List(r.T.Context(), metav1.ListOptions{})
	require.True(r.T, apierrors.IsForbidden(err), "a role in a namespace gives no right to nodes: %v", err)
}

// hpa reads an autoscaler.
func (r *rig) hpa(name string) *autoscalingv2.HorizontalPodAutoscaler {
	r.T.Helper()
	h, err := r.Kube.AutoscalingV2().HorizontalPodAutoscalers(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{})
	require.NoError(r.T, err)
	return h
}

// scaled waits until the autoscaler called name has made its deployment this many replicas, and they run.
func (r *rig) scaled(name string, replicas int32) {
	r.T.Helper()
	r.Eventually(fmt.Sprintf("%s has %d replicas", name, replicas), func() (bool, string) {
		h := r.hpa(name)
		d, err := r.Kube.AppsV1().Deployments(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{})
		require.NoError(r.T, err)
		return h.Status.DesiredReplicas == replicas && d.Status.ReadyReplicas == replicas && d.Status.Replicas == replicas,
			fmt.Sprintf("%+v; %d ready", h.Status, d.Status.ReadyReplicas)
	})
}

func autoscaler(r *rig) {
	r.scaled("grower", 2)
	r.scaled("burner", 3)
	r.load("off")
	r.scaled("burner", 1)
	r.load("on")
	r.scaled("burner", 3)
}

// active is the autoscaler's condition ScalingActive.
func (r *rig) active(name string) (corev1.ConditionStatus, string) {
	for _, c := range r.hpa(name).Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive {
			return c.Status, c.Reason
		}
	}
	return corev1.ConditionUnknown, ""
}

func brokenSource(r *rig) {
	r.scale(metav1.NamespaceSystem, "metrics-server", "0")
	r.Eventually("the autoscaler misses its metric", func() (bool, string) {
		status, reason := r.active("burner")
		return status == corev1.ConditionFalse && reason == "FailedGetResourceMetric", reason
	})
	r.Event("HorizontalPodAutoscaler", "burner", "FailedGetResourceMetric", "")
	require.Equal(r.T, int32(3), r.hpa("burner").Status.CurrentReplicas, "without metrics nothing is scaled")
	r.scale(metav1.NamespaceSystem, "metrics-server", "1")
	r.Eventually("the autoscaler has its metric back", func() (bool, string) {
		status, reason := r.active("burner")
		return status == corev1.ConditionTrue, reason
	})
}
