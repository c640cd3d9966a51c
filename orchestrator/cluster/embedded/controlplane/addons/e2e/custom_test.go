package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
	appworkloads "github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/monitoring"
)

//go:embed custom.yaml
var custom string

// sources are the three kinds of metrics that are no resource's; each has a deployment and an autoscaler of its name.
var sources = map[string]string{
	"pods": "FailedGetPodsMetric", "object": "FailedGetObjectMetric", "external": "FailedGetExternalMetric",
}

// TestCustomMetrics runs on a cluster with Prometheus: what a part leaves behind, the next one starts from.
func TestCustomMetrics(t *testing.T) {
	r := newRig(t)
	stack := monitoring.New(nil, "")
	env := appworkloads.Env{Kubernetes: r.Kube, Dynamic: r.Dynamic, REST: r.REST, Namespace: monitoring.Namespace}
	require.NoError(t, stack.Deploy(t.Context(), env))
	t.Cleanup(func() { require.NoError(t, stack.Remove(context.Background(), env)) })
	r.Apply(custom)
	for _, part := range []struct {
		name string
		test func(*rig)
	}{
		{"kubectl get --raw", rawMetrics},
		{"rights", customRights},
		{"autoscalers", customAutoscalers},
		{"broken source", brokenAdapter},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(&rig{r.With(t), r.metrics}) }) {
			return
		}
	}
}

// values is a list of metric values, of either API.
type values struct {
	Items []struct {
		DescribedObject corev1.ObjectReference
		MetricLabels    map[string]string
		Value           string
	}
}

// raw is kubectl get --raw.
func (r *rig) raw(path string) (string, bool) {
	r.T.Helper()
	k, err := kubectl.New(r, r.Namespace, r.T.TempDir())
	require.NoError(r.T, err)
	out := k.Run(r.T.Context(), kubectl.Command{Line: "get --raw " + path})
	return out.Text, !out.Failed
}

func rawMetrics(r *rig) {
	for path, kind := range map[string]string{
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/%s/pods/*/jobs_waiting":                        "Pod",
		"/apis/custom.metrics.k8s.io/v1beta1/namespaces/%s/pods/*/jobs_waiting":                        "Pod",
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/%s/services/exporter/jobs_waiting":             "Service",
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/%s/metrics/jobs_waiting":                       "Namespace",
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/%s/jobs_waiting?labelSelector=queue%%3Dmail": "",
	} {
		path = fmt.Sprintf(path, r.Namespace)
		r.Eventually(path, func() (bool, string) {
			text, ok := r.raw(path)
			var got values
			if !ok || json.Unmarshal([]byte(text), &got) != nil || len(got.Items) == 0 {
				return false, text
			}
			for _, item := range got.Items {
				if item.DescribedObject.Kind != kind {
					return false, text
				}
			}
			return true, ""
		})
	}
	text, ok := r.raw("/apis/custom.metrics.k8s.io/v1beta2")
	require.True(r.T, ok, text)
	require.Contains(r.T, text, `"pods/jobs_waiting"`)
	require.Contains(r.T, text, `"services/jobs_waiting"`)
	text, ok = r.raw("/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + r.Namespace + "/pods/*/no_such_metric")
	require.False(r.T, ok)
	require.Contains(r.T, text, "the server could not find the metric no_such_metric for pods")
}

// customRights: the metrics of a namespace are as closed as its objects.
func customRights(r *rig) {
	as := rest.CopyConfig(r.REST)
	as.Impersonate = rest.ImpersonationConfig{UserName: "eve", Groups: []string{"system:authenticated"}}
	client, err := kubernetes.NewForConfig(as)
	require.NoError(r.T, err)
	_, err = client.RESTClient().Get().AbsPath("/apis/custom.metrics.k8s.io/v1beta2/namespaces", r.Namespace, "pods/*/jobs_waiting").DoRaw(r.T.Context())
	require.True(r.T, apierrors.IsForbidden(err), "%v", err)
}

// jobs says how many are waiting.
func (r *rig) jobs(n int) {
	r.set("jobs", "metrics", fmt.Sprintf("# TYPE jobs_waiting gauge\njobs_waiting{queue=\"mail\"} %d\n", n))
}

func customAutoscalers(r *rig) {
	all := func(replicas int32) {
		for name := range sources {
			r.scaled(name, replicas)
		}
	}
	all(1)
	r.jobs(9)
	all(3)
	r.jobs(0)
	all(1)
}

// brokenAdapter: without the adapter nothing is scaled, and everybody can see why; with it, it is.
func brokenAdapter(r *rig) {
	r.scale(monitoring.Namespace, "prometheus-adapter", "0")
	for name, reason := range sources {
		r.Eventually("autoscaler "+name+" misses its metric", func() (bool, string) {
			status, seen := r.active(name)
			return status == corev1.ConditionFalse && seen == reason, seen
		})
		r.Event("HorizontalPodAutoscaler", name, reason, "jobs_waiting")
	}
	text, ok := r.raw("/apis/custom.metrics.k8s.io/v1beta2")
	require.False(r.T, ok)
	require.Contains(r.T, strings.ToLower(text), "unavailable")
	r.jobs(9)
	r.scale(monitoring.Namespace, "prometheus-adapter", "1")
	for name := range sources {
		r.scaled(name, 3)
	}
}
