package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/orchestrator/inventory/inventorytest"
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
	client := inventorytest.NewClient(t, objects...)
	inv, err := inventory.Take(t.Context(), client, "shop")
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

func TestDiffIgnoresTheFirstRestart(t *testing.T) {
	t.Parallel()
	a, b := deployment("geo", 1, "geo:1"), deployment("geo", 1, "geo:1")
	a.SetAnnotations(nil)
	b.SetAnnotations(map[string]string{"deployment.kubernetes.io/revision": "2"})
	restarted := map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
	require.NoError(t, unstructured.SetNestedMap(a.Object, map[string]any{"app": "geo"}, "spec", "template", "metadata", "labels"))
	require.NoError(t, unstructured.SetNestedMap(b.Object, map[string]any{"app": "geo"}, "spec", "template", "metadata", "labels"))
	require.NoError(t, unstructured.SetNestedStringMap(b.Object, restarted, "spec", "template", "metadata", "annotations"))
	require.Empty(t, inventory.Diff(take(t, a), take(t, b)))
}

func configMap(name, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}, "data": map[string]any{"key": value},
	}}
}

func TestDiffIgnoresWhatTheControlPlaneWrites(t *testing.T) {
	t.Parallel()
	leads := func(who string) *unstructured.Unstructured {
		c := configMap("lock", "a")
		c.SetAnnotations(map[string]string{"control-plane.alpha.kubernetes.io/leader": who})
		return c
	}
	restarted := func(generation string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": map[string]any{
			"name": "agent", "namespace": "shop", "annotations": map[string]any{"deprecated.daemonset.template.generation": generation},
		}}}
	}
	before := take(t, leads("one"), restarted("1"), configMap("kube-root-ca.crt", "a"), configMap("coredns", "a"))
	after := take(t, leads("two"), restarted("2"), configMap("kube-apiserver-legacy-service-account-token-tracking", "a"), configMap("coredns", "b"))
	changes := inventory.Diff(before, after)
	require.Len(t, changes, 1)
	require.Equal(t, "ConfigMap shop/coredns data.key: a -> b", changes[0].String())
}

func TestDiffSeesTheClustersAPIsAndWebhooks(t *testing.T) {
	t.Parallel()
	api := func(service, ca string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1beta1.metrics.k8s.io"},
			"spec": map[string]any{"service": map[string]any{"name": service}, "caBundle": ca},
		}}
	}
	webhooks := func(kind, policy, ca string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": "guard"},
			"webhooks": []any{map[string]any{"name": "a", "failurePolicy": policy, "clientConfig": map[string]any{"caBundle": ca}}},
		}}
	}
	const mutating, validating = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
	before := take(t, api("metrics-server", "a"), webhooks(mutating, "Ignore", "a"))
	require.Empty(t, inventory.Diff(before, take(t, api("metrics-server", "b"), webhooks(mutating, "Ignore", "b"))), "certificates are renewed")
	var changes []string
	for _, c := range inventory.Diff(before, take(t, api("other", "a"), webhooks(mutating, "Fail", "a"), webhooks(validating, "Fail", "a"))) {
		changes = append(changes, c.String())
	}
	require.Equal(t, []string{
		"APIService v1beta1.metrics.k8s.io spec.service.name: metrics-server -> other",
		"MutatingWebhookConfiguration guard webhooks[0].failurePolicy: Ignore -> Fail",
		"ValidatingWebhookConfiguration guard created",
	}, changes)
}
