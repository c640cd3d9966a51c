package chaosmesh_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
	_ "github.com/gameday-bench/gameday/faults/types"
)

var networkChaos = schema.GroupVersionResource{Group: "chaos-mesh.org", Version: "v1alpha1", Resource: "networkchaos"}

// rig is a cluster on which Chaos Mesh injects at once what it is asked for.
type rig struct {
	kube *kubefake.Clientset
	dyn  *dynamicfake.FakeDynamicClient
	env  faults.Env
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{networkChaos: "NetworkChaosList"})
	kube := kubefake.NewClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}},
		deployment("geo"), deployment("rate"),
	)
	r := &rig{kube, dyn, faultstest.Env(kube, dyn, "hotel", "chaos-mesh")}
	dyn.PrependReactor("create", "networkchaos", func(action clienttesting.Action) (bool, runtime.Object, error) {
		object := action.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		inject(t, kube, object)
		return false, nil, nil
	})
	return r
}

// inject writes the status that the controllers would write for an object that selects pods by name or by label.
func inject(t *testing.T, kube *kubefake.Clientset, object *unstructured.Unstructured) {
	t.Helper()
	var records []any
	add := func(id string) {
		records = append(records, map[string]any{"id": id, "selectorKey": ".", "phase": "Injected", "injectedCount": int64(1), "recoveredCount": int64(0)})
	}
	named, _, err := unstructured.NestedMap(object.Object, "spec", "selector", "pods")
	require.NoError(t, err)
	for namespace, names := range named {
		for _, name := range names.([]any) {
			add(namespace + "/" + name.(string))
		}
	}
	if named == nil {
		set, _, err := unstructured.NestedStringMap(object.Object, "spec", "selector", "labelSelectors")
		require.NoError(t, err)
		list, err := kube.CoreV1().Pods("hotel").List(t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: set})})
		require.NoError(t, err)
		for _, pod := range list.Items {
			add("hotel/" + pod.Name)
		}
	}
	object.Object["status"] = map[string]any{
		"conditions": []any{
			map[string]any{"type": "Selected", "status": "True"}, map[string]any{"type": "AllInjected", "status": "True"},
		},
		"experiment": map[string]any{"containerRecords": records},
	}
}

func deployment(name string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": name}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: podLabels(name)}},
		},
	}
}

func podLabels(name string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/component": "service"}
}

func pod(service, name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: name, UID: types.UID("uid-" + name), Labels: podLabels(service)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.244.1.2",
			ContainerStatuses: []corev1.ContainerStatus{{Name: service, ContainerID: "containerd://" + name}},
		},
	}
}

func (r *rig) addPod(t *testing.T, p *corev1.Pod) {
	t.Helper()
	_, err := r.kube.CoreV1().Pods("hotel").Create(t.Context(), p, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (r *rig) deletePod(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, r.kube.CoreV1().Pods("hotel").Delete(t.Context(), name, metav1.DeleteOptions{}))
}

func (r *rig) cordon(t *testing.T, node string, cordoned bool) {
	t.Helper()
	n, err := r.kube.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	require.NoError(t, err)
	n.Spec.Unschedulable = cordoned
	_, err = r.kube.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// objects returns the chaos objects by the pod that each selects.
func (r *rig) objects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	list, err := r.dyn.Resource(networkChaos).Namespace("chaos-mesh").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	out := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		pods, _, err := unstructured.NestedStringSlice(list.Items[i].Object, "spec", "selector", "pods", "hotel")
		require.NoError(t, err)
		for _, name := range pods {
			out[name] = &list.Items[i]
		}
	}
	return out
}
