package objects

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"a": "1", "b": ""}
	for text, want := range map[string]string{
		"x${a}y${b}z": "x1yz", "none": "none", "$${a} $$ $1": "${a} $$ $1", "${a}${a}": "11", "{{ $labels.a }}": "{{ $labels.a }}",
	} {
		got, err := Expand(text, vars)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"${c}", "${a", "x ${} y"} {
		_, err := Expand(text, vars)
		require.ErrorContains(t, err, "unknown variable", text)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := fstest.MapFS{
		"20-b.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n")},
		"10-a.yaml": {Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: \"${x}\", namespace: other}\n")},
		"notes.txt": {Data: []byte("not a manifest")},
	}
	set, err := Load(dir, map[string]string{"x": "s"})
	require.NoError(t, err)
	var got []string
	for _, u := range set.In("ns") {
		got = append(got, Describe(u))
	}
	require.Equal(t, []string{"secret other/s", "configmap ns/c", "clusterrole r"}, got)
	for _, text := range []string{"kind: Secret", "apiVersion: v1\nkind: Secret\nmetadata: {}", "a: [", "name: ${y}"} {
		_, err := Parse("m.yaml", []byte(text), nil)
		require.ErrorContains(t, err, "m.yaml", text)
	}
}

func TestUnready(t *testing.T) {
	t.Parallel()
	object := func(kind string, spec, status map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "spec": spec, "status": status}}
		u.SetGeneration(2)
		return u
	}
	type m = map[string]any
	tests := []struct {
		object *unstructured.Unstructured
		ready  bool
	}{
		{object("Deployment", m{"replicas": int64(2)}, m{"observedGeneration": int64(2), "availableReplicas": int64(2), "updatedReplicas": int64(2)}), true},
		{object("Deployment", m{"replicas": int64(2)}, m{"observedGeneration": int64(2), "availableReplicas": int64(2), "updatedReplicas": int64(1)}), false},
		{object("Deployment", m{"replicas": int64(1)}, m{"observedGeneration": int64(1), "availableReplicas": int64(1), "updatedReplicas": int64(1)}), false},
		{object("Deployment", m{"replicas": int64(0)}, m{"observedGeneration": int64(2)}), true},
		{object("StatefulSet", m{}, m{"observedGeneration": int64(2)}), false},
		{object("DaemonSet", m{}, m{"observedGeneration": int64(2), "desiredNumberScheduled": int64(3), "numberAvailable": int64(3)}), true},
		{object("Job", m{}, m{"succeeded": int64(1)}), true},
		{object("Job", m{}, m{"failed": int64(1)}), false},
	}
	for _, tc := range tests {
		require.Equal(t, tc.ready, unready(tc.object) == "", "%v: %s", tc.object.Object, unready(tc.object))
	}
}
