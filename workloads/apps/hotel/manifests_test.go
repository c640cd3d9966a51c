package hotel_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/apps/hotel"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/seed"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/stores/cache"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
)

func definition(t *testing.T) *workloads.Definition {
	t.Helper()
	catalog, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	d, err := catalog.Get("hotel")
	require.NoError(t, err)
	return d
}

func manifests(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	app, err := definition(t).App(nil)
	require.NoError(t, err)
	m, ok := app.(workloads.Manifests)
	require.True(t, ok)
	set, err := m.Objects("some-namespace")
	require.NoError(t, err)
	return set
}

// decode reads an object strictly: a field that Kubernetes does not know is a mistake.
func decode[T any](t *testing.T, u *unstructured.Unstructured) *T {
	t.Helper()
	data, err := json.Marshal(u)
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	out := new(T)
	require.NoError(t, decoder.Decode(out), u.GetName())
	return out
}

func TestManifestsAgreeWithTheTopology(t *testing.T) {
	t.Parallel()
	d := definition(t)
	images := map[string]program.Image{}
	for _, im := range append(slices.Concat(hotel.Images(), cache.Images()), sql.Image()) {
		images[im.Repository] = im
	}
	deployments, services := map[string]*appsv1.Deployment{}, map[string]*corev1.Service{}
	names := map[string]bool{}
	for _, u := range manifests(t) {
		names[u.GetKind()+"/"+u.GetName()] = true
		switch u.GetKind() {
		case "Deployment":
			deployments[u.GetName()] = decode[appsv1.Deployment](t, u)
		case "Service":
			services[u.GetName()] = decode[corev1.Service](t, u)
		}
	}
	require.Len(t, deployments, len(d.Components))
	pods, cpu, memory := int32(0), resource.Quantity{}, resource.Quantity{}
	for _, c := range d.Components {
		deployment, service := deployments[c.Name], services[c.Name]
		require.NotNil(t, deployment, c.Name)
		require.NotNil(t, service, c.Name)
		for _, kind := range []string{"ServiceAccount", "PodDisruptionBudget"} {
			require.True(t, names[kind+"/"+c.Name], "%s %s", kind, c.Name)
		}
		labels := deployment.Spec.Template.Labels
		for k, v := range service.Spec.Selector {
			require.Equal(t, v, labels[k], c.Name)
		}
		for k, v := range deployment.Spec.Selector.MatchLabels {
			require.Equal(t, v, labels[k], c.Name)
		}
		require.Len(t, deployment.Spec.Template.Spec.Containers, 1)
		container := deployment.Spec.Template.Spec.Containers[0]
		require.NotEmpty(t, container.Image)
		repository, tag, _ := strings.Cut(container.Image, ":")
		require.Contains(t, images[repository].Tags, tag, container.Image)
		require.NotNil(t, container.ReadinessProbe, c.Name)
		require.NotNil(t, container.LivenessProbe, c.Name)
		for _, from := range container.EnvFrom {
			require.True(t, names["ConfigMap/"+from.ConfigMapRef.Name], from.ConfigMapRef.Name)
		}
		for _, e := range container.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				require.True(t, names["Secret/"+e.ValueFrom.SecretKeyRef.Name], e.ValueFrom.SecretKeyRef.Name)
			}
		}
		pods += *deployment.Spec.Replicas
		for range *deployment.Spec.Replicas {
			cpu.Add(container.Resources.Requests[corev1.ResourceCPU])
			memory.Add(container.Resources.Requests[corev1.ResourceMemory])
			require.NotZero(t, container.Resources.Limits[corev1.ResourceMemory], c.Name)
		}
	}
	require.EqualValues(t, 18, pods)
	// It fits three nodes of 4 CPU and 8 GiB with room for everything else, also when one of them is gone.
	require.Less(t, cpu.MilliValue(), int64(3000))
	require.Less(t, memory.Value(), int64(4<<30))
}

func TestManifestsSayNothingOfTests(t *testing.T) {
	t.Parallel()
	for _, u := range manifests(t) {
		data, err := json.Marshal(u)
		require.NoError(t, err)
		for _, word := range []string{"fault", "chaos", "gameday", "inject", "benchmark"} {
			require.NotContains(t, strings.ToLower(string(data)), word, u.GetName())
		}
	}
}

func TestLoadFitsTheSeededData(t *testing.T) {
	t.Parallel()
	d := definition(t)
	require.Contains(t, d.Profiles, "default")
	for name, p := range d.Profiles {
		text := fmt.Sprint(p.Routes)
		require.Contains(t, text, fmt.Sprintf(".Int 0 %d}}", seed.Users-1), name)
		require.Contains(t, text, fmt.Sprintf(".Int 1 %d}}", seed.Hotels), name)
		require.Equal(t, seed.FirstNight, traffic.Epoch().Format("2006-01-02"))
		var weights float64
		for _, r := range p.Routes {
			weights += r.Weight
		}
		require.InDelta(t, 100, weights, 0, name)
	}
	for _, o := range d.SLOs {
		for _, route := range o.Routes {
			require.True(t, slices.ContainsFunc(d.Profiles["default"].Routes, func(r traffic.Route) bool { return r.Name == route }), route)
		}
	}
}
