package existing

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gameday-bench/gameday/workloads/objects"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api/v1/namespaces":                              "namespaces",
		"/api/v1/namespaces/a":                            "namespaces a",
		"/api/v1/namespaces/a/status":                     "namespaces/status a",
		"/api/v1/namespaces/a/pods":                       "a: pods",
		"/api/v1/namespaces/a/pods/p/exec":                "a: pods/exec p",
		"/api/v1/watch/namespaces/a/pods":                 "a: pods",
		"/apis/apps/v1/deployments":                       "deployments.apps",
		"/apis/apps/v1/namespaces/a/deployments/d/scale":  "a: deployments.apps/scale d",
		"/apis/chaos-mesh.org/v1alpha1/namespaces/a/b/c/": "a: b.chaos-mesh.org c",
		"/api/v1/nodes/n/proxy/pods":                      "nodes/proxy n",
		"/api":                                            "",
		"/apis/apps/v1":                                   "",
		"/version":                                        "",
		"/openapi/v2":                                     "",
	} {
		got, ok := parseTarget("GET", path)
		require.Equal(t, want != "", ok, path)
		if !ok {
			continue
		}
		text := got.String()
		if got.namespace != "" {
			text = got.namespace + ": " + text
		}
		require.Equal(t, want, text, path)
	}
}

func TestWithLabels(t *testing.T) {
	t.Parallel()
	set := map[string]string{"a.b/c": "x"}
	for _, tc := range []struct{ kind, body, want string }{
		{"application/json; charset=utf-8", `{"spec":{"n":12345678901234567890}}`, `{"spec":{"n":12345678901234567890},"metadata":{"labels":{"a.b/c":"x"}}}`},
		{"application/json", `{"metadata":{"name":"n","labels":{"a.b/c":"other","d":"e"}}}`, `{"metadata":{"name":"n","labels":{"a.b/c":"x","d":"e"}}}`},
		{"application/merge-patch+json", `{"metadata":{"labels":null}}`, `{"metadata":{"labels":{"a.b/c":"x"}}}`},
		{"application/apply-patch+yaml", "metadata:\n  name: x\n", `{"metadata":{"name":"x","labels":{"a.b/c":"x"}}}`},
		{"application/json-patch+json", `[{"op":"remove","path":"/spec"}]`, `[{"op":"remove","path":"/spec"},{"op":"add","path":"/metadata/labels/a.b~1c","value":"x"}]`},
	} {
		got, err := withLabels(tc.kind, []byte(tc.body), set)
		require.NoError(t, err, tc.body)
		require.JSONEq(t, tc.want, string(got))
		require.True(t, json.Valid(got))
	}
	for _, tc := range []struct{ kind, body string }{
		{"application/json", "{"}, {"application/json", "null"}, {"application/json", "[]"}, {"application/json-patch+json", "{}"},
		{"application/apply-patch+yaml", "a: ["}, {"application/cbor", "x"}, {"", "{}"},
	} {
		_, err := withLabels(tc.kind, []byte(tc.body), set)
		require.Error(t, err, "%s %s", tc.kind, tc.body)
	}
}

func TestReadCordon(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind, body        string
		unschedulable, ok bool
	}{
		{asMerge, `{"spec":{"unschedulable":true}}`, true, true},
		{asStrategic, `{"spec":{"unschedulable":null}}`, false, true},
		{asMerge, `{"spec":{"unschedulable":false}}`, false, true},
		{asJSONPatch, `[{"op":"add","path":"/spec/unschedulable","value":true}]`, true, true},
		{asJSONPatch, `[{"op":"remove","path":"/spec/unschedulable"}]`, false, true},
		{asJSONPatch, `[{"op":"test","path":"/spec/unschedulable","value":true}]`, false, false},
		{asJSONPatch, `[{"op":"add","path":"/spec/unschedulable"}]`, false, false},
		{asJSONPatch, `[]`, false, false},
		{asMerge, `{"spec":{"unschedulable":"yes"}}`, false, false},
		{asMerge, `{"spec":{"taints":[]}}`, false, false},
		{asMerge, `{"metadata":{},"spec":{"unschedulable":true}}`, false, false},
		{asMerge, `{`, false, false},
		{asApply, `{"spec":{"unschedulable":true}}`, false, false},
		{"", `{"spec":{"unschedulable":true}}`, false, false},
	} {
		unschedulable, ok := readCordon(tc.kind, []byte(tc.body))
		require.Equal(t, tc.ok, ok, "%s %s", tc.kind, tc.body)
		require.Equal(t, tc.unschedulable, unschedulable, "%s %s", tc.kind, tc.body)
	}
}

func TestSelected(t *testing.T) {
	t.Parallel()
	var doc any
	require.NoError(t, json.Unmarshal([]byte(`{"metadata":{"namespaces":["no"]},"spec":{
		"selector":{"namespaces":["b","a"],"labelSelectors":{"namespaces":"no"}},"target":{"selector":{"pods":{"c":["p"]}}}}}`), &doc))
	require.Equal(t, []string{"a", "b", "c"}, selected(doc))
	require.Empty(t, selected([]any{"x"}))
}

func container(cpu, memory string) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	always := corev1.ContainerRestartPolicyAlways
	sidecar := container("100m", "10")
	sidecar.RestartPolicy = &always
	limited := corev1.Container{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want room
	}{
		"nothing":         {corev1.PodSpec{}, room{0, 0, 1}},
		"containers":      {corev1.PodSpec{Containers: []corev1.Container{container("100m", "10"), container("1", "5")}}, room{1100, 15, 1}},
		"a limit":         {corev1.PodSpec{Containers: []corev1.Container{limited}}, room{2000, 0, 1}},
		"a large init":    {corev1.PodSpec{InitContainers: []corev1.Container{container("3", "1")}, Containers: []corev1.Container{container("1", "5")}}, room{3000, 5, 1}},
		"a sidecar":       {corev1.PodSpec{InitContainers: []corev1.Container{sidecar, container("1", "1")}, Containers: []corev1.Container{container("1", "5")}}, room{1100, 15, 1}},
		"with overhead":   {corev1.PodSpec{Containers: []corev1.Container{container("1", "5")}, Overhead: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")}}, room{1250, 5, 1}},
		"init, then less": {corev1.PodSpec{InitContainers: []corev1.Container{container("1", "9"), container("2", "1")}}, room{2000, 9, 1}},
	} {
		require.Equal(t, tc.want, requests(tc.spec), name)
	}
}

func TestDemandAndPlace(t *testing.T) {
	t.Parallel()
	set, err := objects.Parse("m.yaml", []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {replicas: 2, template: {spec: {containers: [{name: c, resources: {requests: {cpu: 500m, memory: 1Gi}}}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: b}
spec: {template: {spec: {containers: [{name: c, resources: {requests: {cpu: 1}}}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: c}
spec: {ports: []}
`), nil)
	require.NoError(t, err)
	got, err := demand(set)
	require.NoError(t, err)
	require.Equal(t, []room{{500, 1 << 30, 1}, {500, 1 << 30, 1}, {1000, 0, 1}}, got)
	require.Zero(t, place(got, []room{{1000, 2 << 30, 10}, {1000, 0, 1}}))
	require.Equal(t, 1, place(got, []room{{1999, 2 << 30, 10}}))
	require.Equal(t, 1, place(got, []room{{900, 4 << 30, 10}, {1100, 4 << 30, 10}}), "together there is room, on no node is it")
	require.False(t, claims(set))
	set, err = objects.Parse("m.yaml", []byte("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: b}\nspec: {volumeClaimTemplates: [{spec: {accessModes: [ReadWriteOnce]}}]}\n"), nil)
	require.NoError(t, err)
	require.True(t, claims(set))
}
