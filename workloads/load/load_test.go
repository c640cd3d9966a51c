package load_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/load"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
	"github.com/gameday-bench/gameday/workloads/objects"
)

func object(t *testing.T, set objects.Set, kind, name string) map[string]any {
	t.Helper()
	for _, u := range set {
		if u.GetKind() == kind && u.GetName() == name {
			return u.Object
		}
	}
	require.Failf(t, "no such object", "%s %s", kind, name)
	return nil
}

// TestProfilesReachTheGenerator: what an application declares is what the generator reads, for every profile.
func TestProfilesReachTheGenerator(t *testing.T) {
	t.Parallel()
	catalog, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	for _, app := range catalog.All() {
		for _, name := range app.ProfileNames() {
			profile := app.Profiles[name]
			set, err := load.New(profile, "elsewhere").Objects("clients")
			require.NoError(t, err)
			require.Equal(t, "Namespace", set[0].GetKind())
			text, found, err := unstructured.NestedString(object(t, set, "ConfigMap", "traffic-profile"), "data", "profile.yaml")
			require.NoError(t, err)
			require.True(t, found)
			got, err := traffic.ParseProfile("profile.yaml", []byte(text))
			require.NoError(t, err)
			require.Contains(t, got.Target, ".elsewhere.")
			profile.Target = got.Target
			require.Equal(t, profile.String(), got.String())
			require.Equal(t, profile.Routes, got.Routes)
			for _, slo := range app.SLOs {
				for _, route := range slo.Routes {
					require.True(t, hasRoute(profile, route), "objective %s names route %q, profile %s has none", slo.Name, route, name)
				}
			}
		}
	}
}

func hasRoute(p load.Profile, name string) bool {
	for _, r := range p.Routes {
		if r.Name == name {
			return true
		}
	}
	return false
}

func TestUnknownPlaceholder(t *testing.T) {
	t.Parallel()
	_, err := load.New(load.Profile{Target: "http://${nope}"}, "x").Objects("clients")
	require.ErrorContains(t, err, "nope")
}

func TestStatusCounts(t *testing.T) {
	t.Parallel()
	s := load.Status{Start: time.Now(), Routes: []traffic.RouteStatus{
		{Name: "a", Outcomes: map[string]uint64{"ok": 7, "timeout": 2}}, {Name: "b", Outcomes: map[string]uint64{"ok": 1}},
	}}
	all, good := s.Sent()
	require.Equal(t, uint64(10), all)
	require.Equal(t, uint64(8), good)
}
