package objects

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
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

// TestReadySaysWhy: a wait that is ended names what was missing, although its context is over.
func TestReadySaysWhy(t *testing.T) {
	t.Parallel()
	deployment := func(name string, available int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec":   map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": name}}},
			"status": map[string]any{"availableReplicas": available, "updatedReplicas": available},
		}}
	}
	good, bad, gone := deployment("good", 1), deployment("bad", 0), deployment("gone", 1)
	d := dynamicfake.NewSimpleDynamicClient(runtime.NewScheme(), good.DeepCopy(), bad.DeepCopy())
	k := fake.NewClientset(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "bad-1", Namespace: "shop", Labels: map[string]string{"app": "bad"}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}},
		}}},
	})
	require.NoError(t, Set{good}.Ready(t.Context(), d, k))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Set{good, bad, gone}.Ready(ctx, d, k)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "deployment shop/bad: 0/1 available (pod bad-1: ImagePullBackOff no such image)")
	require.ErrorContains(t, err, `get deployment shop/gone: deployments.apps "gone" not found`)
	require.NotContains(t, err.Error(), "shop/good")
}
