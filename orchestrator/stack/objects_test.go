package stack_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/objects"
)

func hotel(t *testing.T) *workloads.Definition {
	t.Helper()
	apps, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	app, err := apps.Get("hotel")
	require.NoError(t, err)
	return app
}

// TestObjectsOfATenant: on a shared cluster nothing is made outside of the stack's own namespaces but roles with names of its own.
func TestObjectsOfATenant(t *testing.T) {
	t.Parallel()
	set, err := stack.Objects(hotel(t), "stays", &cluster.Tenancy{Registry: "registry.example/exercise"})
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, u := range set {
		kinds[u.GetKind()] = true
		switch u.GetKind() {
		case "Namespace":
			require.Contains(t, []string{"stays", "monitoring", "clients"}, u.GetName())
		case "ClusterRole", "ClusterRoleBinding":
			require.True(t, strings.HasPrefix(u.GetName(), "monitoring:"), u.GetName())
		default:
			require.Contains(t, []string{"stays", "monitoring", "clients"}, u.GetNamespace(), objects.Describe(u))
		}
		text := fmt.Sprint(u.Object["spec"])
		require.NotContains(t, text, "registry.local/", objects.Describe(u))
	}
	require.True(t, kinds["Deployment"] && kinds["ClusterRole"] && kinds["Secret"])
	names := func(kind string) []string {
		var out []string
		for _, u := range set {
			if u.GetKind() == kind {
				out = append(out, u.GetName())
			}
		}
		return out
	}
	require.Contains(t, names("Deployment"), "traffic")
	require.Contains(t, names("Deployment"), "frontend")
	require.Contains(t, names("Deployment"), "prometheus")
	require.NotContains(t, names("Deployment"), "prometheus-adapter")
}

func TestObjectsOfAWholeCluster(t *testing.T) {
	t.Parallel()
	set, err := stack.Objects(nil, "", nil)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(set, func(u *unstructured.Unstructured) bool { return u.GetKind() == "APIService" }))
}
