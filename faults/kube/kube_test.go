package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
	_ "github.com/gameday-bench/gameday/faults/types"
)

var (
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

func cluster() (*dynamicfake.FakeDynamicClient, faults.Env) {
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"namespace": "hotel", "name": "geo"},
		"spec": map[string]any{"ports": []any{map[string]any{"name": "grpc", "port": int64(8083), "targetPort": "grpc"}}},
	}}
	deployment := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"namespace": "hotel", "name": "geo"},
		"spec":   map[string]any{"replicas": int64(2)},
		"status": map[string]any{"replicas": int64(2)},
	}}
	client := dynamicfake.NewSimpleDynamicClient(runtime.NewScheme(), service, deployment)
	return client, faultstest.Env(kubefake.NewClientset(), client, "hotel", "chaos-mesh")
}

var (
	wrongPort = map[string]string{"namespace": "hotel", "service": "geo", "port": "8099"}
	zero      = map[string]string{"namespace": "hotel", "deployment": "geo"}
)

func TestConformance(t *testing.T) {
	t.Parallel()
	_, env := cluster()
	faultstest.Run(t, func() faults.Fault { return faultstest.New(t, "service-target-port", wrongPort) }, env)
	faultstest.Run(t, func() faults.Fault { return faultstest.New(t, "scaled-to-zero", zero) }, env)
}

func TestTargetPortIsANumber(t *testing.T) {
	t.Parallel()
	client, env := cluster()
	require.NoError(t, faultstest.New(t, "service-target-port", wrongPort).Inject(t.Context(), env))
	object, err := client.Resource(services).Namespace("hotel").Get(t.Context(), "geo", metav1.GetOptions{})
	require.NoError(t, err)
	ports, _, err := unstructured.NestedSlice(object.Object, "spec", "ports")
	require.NoError(t, err)
	require.EqualValues(t, 8099, ports[0].(map[string]any)["targetPort"])
	require.Equal(t, "grpc", ports[0].(map[string]any)["name"])
}

func TestRecoverAfterARepair(t *testing.T) {
	t.Parallel()
	client, env := cluster()
	f := faultstest.New(t, "scaled-to-zero", zero)
	require.NoError(t, f.Inject(t.Context(), env))
	_, err := client.Resource(deployments).Namespace("hotel").Patch(t.Context(), "geo", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	state, err := f.Probe(t.Context(), env)
	require.NoError(t, err)
	require.Equal(t, faults.State{Detail: "Deployment hotel/geo spec.replicas is 5"}, state)
	require.NoError(t, f.Recover(t.Context(), env))
	require.EqualValues(t, 2, replicas(t, client))
}

func TestRecoverAfterADeletion(t *testing.T) {
	t.Parallel()
	client, env := cluster()
	f := faultstest.New(t, "scaled-to-zero", zero)
	require.NoError(t, f.Inject(t.Context(), env))
	require.NoError(t, client.Resource(deployments).Namespace("hotel").Delete(t.Context(), "geo", metav1.DeleteOptions{}))
	state, err := f.Probe(t.Context(), env)
	require.NoError(t, err)
	require.False(t, state.Live, "what is gone has no wrong value: other invariants say that it is gone")
	require.NoError(t, f.Recover(t.Context(), env))
	require.EqualValues(t, 2, replicas(t, client))
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	client, env := cluster()
	require.NoError(t, faultstest.New(t, "scaled-to-zero", zero).Inject(t.Context(), env))
	// Another process, with the state that was stored with the trial.
	require.NoError(t, faultstest.New(t, "scaled-to-zero", zero).Recover(t.Context(), env))
	require.EqualValues(t, 2, replicas(t, client))
}

func replicas(t *testing.T, client *dynamicfake.FakeDynamicClient) any {
	t.Helper()
	object, err := client.Resource(deployments).Namespace("hotel").Get(t.Context(), "geo", metav1.GetOptions{})
	require.NoError(t, err)
	n, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "replicas")
	require.NoError(t, err)
	return n
}
