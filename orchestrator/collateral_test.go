package orchestrator

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/orchestrator/inventory/inventorytest"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/workloads"
)

// TestCollateralSeesTheClustersOwnServices: an agent that takes DNS away, or configures it anew, has done harm; and so has one that
// takes away what belongs to no namespace.
func TestCollateralSeesTheClustersOwnServices(t *testing.T) {
	t.Parallel()
	meta := metav1.ObjectMeta{Name: "coredns", Namespace: "kube-system"}
	client := inventorytest.NewClient(t, &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta},
		&corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta},
		&storagev1.StorageClass{TypeMeta: metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"}, ObjectMeta: metav1.ObjectMeta{Name: "standard"}},
		&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "caches.example.com"},
		}})
	e := &environment{
		app: &workloads.Definition{}, draw: problems.Draw{"namespace": "hotel"}, dynamic: client, kubernetes: fake.NewSimpleClientset(),
	}
	broken := func() []string {
		evidence, err := e.collateral(t.Context())
		require.NoError(t, err)
		var out []string
		for _, invariant := range evidence {
			if !invariant.Held {
				out = append(out, invariant.Name+": "+invariant.Detail)
			}
		}
		return out
	}
	require.NoError(t, e.remember(t.Context()))
	require.Empty(t, broken())
	for _, gvr := range []schema.GroupVersionResource{{Group: "apps", Version: "v1", Resource: "deployments"}, {Version: "v1", Resource: "configmaps"}} {
		require.NoError(t, client.Resource(gvr).Namespace(meta.Namespace).Delete(t.Context(), meta.Name, metav1.DeleteOptions{}))
	}
	storage := client.Resource(schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"})
	require.NoError(t, storage.Delete(t.Context(), "standard", metav1.DeleteOptions{}))
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	require.NoError(t, definitions.Delete(t.Context(), "caches.example.com", metav1.DeleteOptions{}))
	require.Equal(t, []string{"cluster's own services kept: ConfigMap kube-system/coredns deleted; CustomResourceDefinition caches.example.com deleted; " +
		"Deployment kube-system/coredns deleted; StorageClass standard deleted"}, broken())
}
