package addons_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
	"github.com/gameday-bench/gameday/workloads/monitoring/metricsserver"
)

func TestMetricsServerIsWhatTheAPIRefersTo(t *testing.T) {
	var svc corev1.Service
	api := addons.MetricsAPI()
	find(t, "Service", api.Spec.Service.Name, &svc)
	require.Equal(t, api.Spec.Service.Namespace, svc.Namespace)
	require.Equal(t, api.Spec.Version+"."+api.Spec.Group, api.Name)
	var dep appsv1.Deployment
	find(t, "Deployment", api.Spec.Service.Name, &dep)
	require.Equal(t, svc.Spec.Selector, dep.Spec.Template.Labels)
	container := dep.Spec.Template.Spec.Containers[0]
	require.Equal(t, svc.Spec.Ports[0].TargetPort.StrVal, container.Ports[0].Name)
	image := metricsserver.Image()
	require.Equal(t, image.Repository+":"+image.Tags[0], container.Image)
}

func TestMetricsAreAsFreshAsTheAutoscalerNeeds(t *testing.T) {
	for want, timing := range map[string]spec.Timing{"--metric-resolution=3s": spec.Fast(), "--metric-resolution=15s": spec.Production()} {
		all, err := addons.Objects(&spec.Cluster{Timing: timing})
		require.NoError(t, err)
		var args []any
		for _, o := range all {
			if o.GetKind() == "Deployment" && o.GetName() == "metrics-server" {
				containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
				require.NoError(t, err)
				args = containers[0].(map[string]any)["args"].([]any)
			}
		}
		require.Contains(t, args, want)
	}
}
