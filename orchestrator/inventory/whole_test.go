package inventory_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/orchestrator/inventory/inventorytest"
)

// discovered is what a cluster answers when it is asked what it has.
type discovered struct {
	lists []*metav1.APIResourceList
	err   error
}

func (d discovered) ServerPreferredResources() ([]*metav1.APIResourceList, error) {
	return d.lists, d.err
}

func TestResources(t *testing.T) {
	t.Parallel()
	verbs := metav1.Verbs{"list", "delete"}
	lists := []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "secrets", Kind: "Secret", Verbs: verbs}, {Name: "pods", Kind: "Pod", Verbs: verbs}, {Name: "events", Kind: "Event", Verbs: verbs},
			{Name: "bindings", Kind: "Binding", Verbs: metav1.Verbs{"create"}}, {Name: "services/status", Kind: "Service", Verbs: verbs},
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Name: "deployments", Kind: "Deployment", Verbs: verbs}, {Name: "replicasets", Kind: "ReplicaSet", Verbs: verbs}}},
		{GroupVersion: "metrics.k8s.io/v1beta1", APIResources: []metav1.APIResource{{Name: "nodes", Kind: "NodeMetrics", Verbs: verbs}}},
	}
	want := map[schema.GroupVersionResource]string{
		{Version: "v1", Resource: "secrets"}: "Secret", {Group: "apps", Version: "v1", Resource: "deployments"}: "Deployment.apps",
	}
	got, err := inventory.Resources(discovered{lists: lists})
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = inventory.Resources(discovered{lists: lists, err: &discovery.ErrGroupDiscoveryFailed{}})
	require.NoError(t, err, "a group that does not answer is left out")
	require.Equal(t, want, got)
	_, err = inventory.Resources(discovered{err: errors.New("refused")})
	require.ErrorContains(t, err, "refused")
}

func TestTakeWhole(t *testing.T) {
	t.Parallel()
	resources := map[schema.GroupVersionResource]string{{Group: "apps", Version: "v1", Resource: "deployments"}: "Deployment.apps"}
	before, err := inventory.TakeWhole(t.Context(), inventorytest.NewClient(t, deployment("geo", 2, "geo:1")), resources)
	require.NoError(t, err)
	after, err := inventory.TakeWhole(t.Context(), inventorytest.NewClient(t, deployment("geo", 2, "geo:2"), deployment("extra", 1, "x:1")), resources)
	require.NoError(t, err)
	changes := inventory.Diff(before.Inventory, after.Inventory)
	require.Len(t, changes, 2)
	require.Equal(t, "Deployment.apps shop/extra created", changes[0].String())
	require.Equal(t, "deployments", after.Resources[changes[0].Key].Resource)

	leaving := deployment("leaving", 1, "x:1")
	now := metav1.Now()
	leaving.SetDeletionTimestamp(&now)
	leaving.SetFinalizers([]string{"example.com/keep"})
	settled, err := inventory.TakeWhole(t.Context(), inventorytest.NewClient(t, deployment("geo", 2, "geo:1"), leaving), resources)
	require.NoError(t, err)
	require.Len(t, settled.Inventory, 2)
	settled.Settle()
	require.Empty(t, inventory.Diff(before.Inventory, settled.Inventory))
	require.Equal(t, "Deployment.apps shop/geo spec.template.spec.containers[0].image: geo:1 -> geo:2", changes[1].String())
}
