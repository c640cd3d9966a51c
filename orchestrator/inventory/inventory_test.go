package inventory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	inv, err := inventory.TakeCluster(t.Context(), client, "hidden")
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

// object is one without content, of a version v1.
func object(group, kind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": strings.TrimPrefix(group+"/v1", "/"), "kind": kind}}
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// TestDiffSeesWhatBelongsToNoNamespace: the kinds by which a cluster makes, admits, places and keeps everything else.
func TestDiffSeesWhatBelongsToNoNamespace(t *testing.T) {
	t.Parallel()
	for kind, group := range map[string]string{
		"Node": "", "Namespace": "", "CustomResourceDefinition": "apiextensions.k8s.io", "APIService": "apiregistration.k8s.io",
		"MutatingWebhookConfiguration": "admissionregistration.k8s.io", "ValidatingWebhookConfiguration": "admissionregistration.k8s.io",
		"ValidatingAdmissionPolicy": "admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io",
		"ClusterRole": "rbac.authorization.k8s.io", "ClusterRoleBinding": "rbac.authorization.k8s.io", "StorageClass": "storage.k8s.io",
		"CSIDriver": "storage.k8s.io", "PriorityClass": "scheduling.k8s.io", "RuntimeClass": "node.k8s.io", "IngressClass": "networking.k8s.io",
		"FlowSchema": "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration": "flowcontrol.apiserver.k8s.io",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			changes := inventory.Diff(take(t, object(group, kind, "", "a")), take(t))
			require.Len(t, changes, 1)
			require.Equal(t, kind+" a deleted", changes[0].String())
		})
	}
}

func TestDiffIgnoresTheAuthorityOfAConversion(t *testing.T) {
	t.Parallel()
	definition := func(path, ca string) *unstructured.Unstructured {
		u := object("apiextensions.k8s.io", "CustomResourceDefinition", "", "caches.example.com")
		u.Object["spec"] = map[string]any{"conversion": map[string]any{"webhook": map[string]any{"clientConfig": map[string]any{
			"caBundle": ca, "service": map[string]any{"path": path},
		}}}}
		return u
	}
	require.Empty(t, inventory.Diff(take(t, definition("/a", "one")), take(t, definition("/a", "two"))))
	require.Len(t, inventory.Diff(take(t, definition("/a", "one")), take(t, definition("/b", "one"))), 1)
}

// TestScope: a cluster of one's own is looked at as a whole, but for what is left out; of a shared one, some namespaces and the nodes.
func TestScope(t *testing.T) {
	t.Parallel()
	leaving := object("", "Namespace", "", "leaving")
	now := metav1.Now()
	leaving.SetDeletionTimestamp(&now)
	leaving.SetFinalizers([]string{"kubernetes"})
	client := inventorytest.NewClient(t,
		object("", "Service", "shop", "geo"), object("", "Service", "storage", "provisioner"), object("", "Service", "hidden", "daemon"),
		object("", "Namespace", "", "shop"), object("", "Namespace", "", "hidden"), leaving,
		object("", "Node", "", "node-1"), object("storage.k8s.io", "StorageClass", "", "standard"))
	names := func(inv inventory.Inventory) []string {
		var out []string
		for key := range inv {
			out = append(out, key.String())
		}
		slices.Sort(out)
		return out
	}
	whole, err := inventory.TakeCluster(t.Context(), client, "hidden")
	require.NoError(t, err)
	require.Equal(t, []string{"Namespace shop", "Node node-1", "Service shop/geo", "Service storage/provisioner", "StorageClass standard"}, names(whole))
	part, err := inventory.Take(t.Context(), client, "shop")
	require.NoError(t, err)
	require.Equal(t, []string{"Node node-1", "Service shop/geo"}, names(part))
}
