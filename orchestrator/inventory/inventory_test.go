package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

func deployment(name string, replicas int64, image string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "resourceVersion": image,
			"annotations": map[string]any{"deployment.kubernetes.io/revision": image, "team": "a"},
		},
		"spec": map[string]any{
			"replicas": replicas,
			"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}}},
		},
		"status": map[string]any{"replicas": replicas},
	}}
}

func take(t *testing.T, objects ...runtime.Object) inventory.Inventory {
	t.Helper()
	inv, err := inventory.Take(t.Context(), fake.NewSimpleDynamicClient(scheme.Scheme, objects...), "shop")
	require.NoError(t, err)
	return inv
}

func TestDiff(t *testing.T) {
	t.Parallel()
	before := take(t, deployment("geo", 2, "geo:1"), deployment("rate", 1, "rate:1"))
	after := take(t, deployment("geo", 0, "geo:2"), deployment("extra", 1, "x:1"))
	var got []string
	for _, c := range inventory.Diff(before, after) {
		got = append(got, c.String())
	}
	require.Equal(t, []string{
		"Deployment shop/extra created",
		"Deployment shop/geo spec.replicas: 2 -> 0",
		"Deployment shop/geo spec.template.spec.containers[0].image: geo:1 -> geo:2",
		"Deployment shop/rate deleted",
	}, got)
}

func TestDiffIgnoresBookkeeping(t *testing.T) {
	t.Parallel()
	a := deployment("geo", 1, "geo:1")
	b := deployment("geo", 1, "geo:1")
	b.SetResourceVersion("99")
	b.SetAnnotations(map[string]string{"team": "a", "deployment.kubernetes.io/revision": "7", "kubectl.kubernetes.io/restartedAt": "now"})
	require.Empty(t, inventory.Diff(take(t, a), take(t, b)))
}
