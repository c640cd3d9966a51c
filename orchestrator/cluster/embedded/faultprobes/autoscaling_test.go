package faultprobes

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/workloads/monitoring"
)

// autoscaler is one of the frontend, which has two replicas, on a metric of which each of three may have its part.
const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: frontend}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: frontend}
  minReplicas: 2
  maxReplicas: 3
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
  metrics: [%s]
`

// sources are the two origins of metrics, each with the deployment that they come from. The load is far above both targets.
var sources = map[string]struct{ namespace, deployment, metric string }{
	"resource metrics": {metav1.NamespaceSystem, "metrics-server", `{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 1m}}}`},
	"custom metrics": {
		monitoring.Namespace, "prometheus-adapter",
		`{type: Pods, pods: {metric: {name: http_server_requests_per_second}, target: {type: AverageValue, averageValue: "1"}}}`,
	},
}

// TestAutoscalerLosesItsMetric: the source of its metric is gone, so a deployment that somebody has scaled down under load
// stays small, until the source is back.
func TestAutoscalerLosesItsMetric(t *testing.T) {
	site := fixture.Site(t, rate)
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			s := site.With(t)
			s.Apply(fmt.Sprintf(autoscaler, source.metric))
			t.Cleanup(func() {
				ctx := context.Background()
				s.In(source.namespace).Scale(ctx, source.deployment, 1)
				require.NoError(t, s.Kube.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace).Delete(ctx, "frontend", metav1.DeleteOptions{}))
				s.Scale(ctx, "frontend", 2)
			})
			s.Value("the frontend scaled up", replicas, func(v float64) bool { return v == 3 })

			s.In(source.namespace).Scale(t.Context(), source.deployment, 0)
			s.Value("an autoscaler without its metric", inactive, func(v float64) bool { return v == 1 })
			s.Scale(t.Context(), "frontend", 2)
			s.Value("the frontend kept small", kept, func(v float64) bool { return v == 2 })

			s.In(source.namespace).Scale(t.Context(), source.deployment, 1)
			s.Value("the frontend scaled up again", replicas, func(v float64) bool { return v == 3 })
			s.Healthy()
		})
	}
}

const (
	replicas = `kube_deployment_spec_replicas{deployment="frontend"}`
	inactive = `kube_horizontalpodautoscaler_status_condition{horizontalpodautoscaler="frontend",condition="ScalingActive",status="false"}`
	// kept has a sample once the number of replicas has been the same for a while, many times the period of autoscalers.
	kept = `max_over_time(kube_deployment_spec_replicas{deployment="frontend"}[10s]) == min_over_time(kube_deployment_spec_replicas{deployment="frontend"}[10s])`
)
