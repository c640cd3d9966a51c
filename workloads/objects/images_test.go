package objects_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads/objects"
)

const pods = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec:
      initContainers: [{name: i, image: registry.local/library/tools:1}]
      containers: [{name: c, image: "registry.local/hotel/geo:2.3.1"}, {name: d, image: "quay.io/x/y:3"}, {name: e}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: b}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: registry.local/x:1}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {image: registry.local/x:1}
`

// images are those of a set, in order.
func images(t *testing.T, set objects.Set) []string {
	t.Helper()
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, field := range []string{"initContainers", "containers", "spec", "template", "jobTemplate", "data"} {
				walk(v[field])
			}
			if image, ok := v["image"].(string); ok {
				out = append(out, image)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	for _, u := range set {
		walk(u.Object)
	}
	return out
}

func TestPullFrom(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string][]string{
		"":                       {"registry.local/library/tools:1", "registry.local/hotel/geo:2.3.1", "quay.io/x/y:3", "registry.local/x:1", "registry.local/x:1"},
		"ghcr.io/me/exercise":    {"ghcr.io/me/exercise/library/tools:1", "ghcr.io/me/exercise/hotel/geo:2.3.1", "quay.io/x/y:3", "ghcr.io/me/exercise/x:1", "registry.local/x:1"},
		"registry.example:5000/": {"registry.example:5000/library/tools:1", "registry.example:5000/hotel/geo:2.3.1", "quay.io/x/y:3", "registry.example:5000/x:1", "registry.local/x:1"},
	} {
		set, err := objects.Parse("pods.yaml", []byte(pods), nil)
		require.NoError(t, err)
		require.Equal(t, want, images(t, set.PullFrom(registry)), registry)
	}
	odd := objects.Set{&unstructured.Unstructured{Object: map[string]any{"containers": "none", "x": []any{1, "y"}}}}
	require.NotPanics(t, func() { odd.PullFrom("example.com") })
}
