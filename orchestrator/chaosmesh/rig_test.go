package chaosmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	helmfake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/syncbuf"
)

const here = "chaos-mesh"

// rig is a cluster on which Chaos Mesh works, with the API server and Chaos Mesh's programs played by reactors.
type rig struct {
	*site
	fake *kubefake.Clientset
	dyns *dynamicfake.FakeDynamicClient
	log  *syncbuf.Buffer

	// cutOff is true while a partition is injected; deaf makes Chaos Mesh report faults that it does not inject.
	cutOff atomic.Bool
	deaf   bool
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	if o.Chart == "" {
		o.Chart = "testdata/chart"
	}
	logged := &syncbuf.Buffer{}
	o.Log = slog.New(slog.NewTextHandler(logged, nil))
	all, err := kinds()
	require.NoError(t, err)
	lists := map[schema.GroupVersionResource]string{definitionResource: "CustomResourceDefinitionList"}
	for _, k := range all {
		lists[k.GroupVersionResource] = k.name + "List"
	}
	r := &rig{
		fake: kubefake.NewClientset(node("node-1")), dyns: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists),
		log: logged,
	}
	o = o.withDefaults()
	o.RolloutLimit = 300 * time.Millisecond
	r.site = &site{
		o: o, kube: r.fake, dyn: r.dyns, clock: o.Clock, log: o.Log,
		pace: pace{
			poll: time.Millisecond, attempt: 5 * time.Millisecond, step: 500 * time.Millisecond, definitions: time.Second, webhooks: time.Second,
			gone: time.Second, patience: 50 * time.Millisecond, recovery: 200 * time.Millisecond, cleanUp: 5 * time.Second, logs: time.Second,
		},
		helm: func(namespace string) (*action.Configuration, error) {
			return &action.Configuration{
				Releases: storage.Init(driver.NewSecrets(r.fake.CoreV1().Secrets(namespace))), Capabilities: chartutil.DefaultCapabilities,
				KubeClient: &programs{PrintingKubeClient: &helmfake.PrintingKubeClient{Out: io.Discard}, rig: r, namespace: namespace},
				Log:        func(string, ...any) {},
			}, nil
		},
	}
	r.playDefinitions(t)
	r.playExperiments()
	r.playPods()
	return r
}

func node(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.35.4", OperatingSystem: "linux"},
			Images:   []corev1.ContainerImage{{Names: []string{"registry.k8s.io/pause@sha256:00", "registry.k8s.io/pause:3.10.1"}}},
		},
	}
}

// playDefinitions serves the kinds whose definitions are applied.
func (r *rig) playDefinitions(t *testing.T) {
	t.Helper()
	r.dyns.PrependReactor("patch", "customresourcedefinitions", func(a clienttesting.Action) (bool, runtime.Object, error) {
		patch := a.(clienttesting.PatchAction)
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(patch.GetPatch()); err != nil {
			return true, nil, err
		}
		if _, found := o.Object["status"]; found || patch.GetPatchType() != types.ApplyPatchType {
			return true, nil, errors.New("not what the API server takes")
		}
		err := r.dyns.Tracker().Create(definitionResource, o, "")
		if apierrors.IsAlreadyExists(err) {
			err = r.dyns.Tracker().Update(definitionResource, o, "")
		}
		if err != nil {
			return true, nil, err
		}
		plural, _, err := unstructured.NestedString(o.Object, "spec", "names", "plural")
		if err != nil {
			return true, nil, err
		}
		if len(r.fake.Resources) == 0 {
			r.fake.Resources = []*metav1.APIResourceList{{GroupVersion: groupVersion.String()}}
		}
		served := r.fake.Resources[0]
		served.APIResources = append(served.APIResources, metav1.APIResource{Name: plural}, metav1.APIResource{Name: plural + "/status"})
		return true, o, nil
	})
}

// playExperiments injects at once what is created, and refuses what is invalid.
func (r *rig) playExperiments() {
	r.dyns.PrependReactor("patch", "networkchaos", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.PatchAction).GetPatchType() != types.ApplyPatchType {
			return false, nil, nil
		}
		return true, nil, apierrors.NewInternalError(errors.New(`admission webhook "vnetworkchaos.kb.io" denied the request`))
	})
	r.dyns.PrependReactor("create", "networkchaos", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o := a.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		o.Object["status"] = map[string]any{
			"conditions": []any{map[string]any{"type": "Selected", "status": "True"}, map[string]any{"type": "AllInjected", "status": "True"}},
			"experiment": map[string]any{"containerRecords": []any{map[string]any{"id": here + "/" + o.GetName(), "phase": "Injected"}}},
		}
		r.cutOff.Store(!r.deaf)
		return false, nil, nil
	})
	r.dyns.PrependReactor("delete", "networkchaos", func(clienttesting.Action) (bool, runtime.Object, error) {
		r.cutOff.Store(false)
		return false, nil, nil
	})
}

// playPods runs pods at once, and answers for them.
func (r *rig) playPods() {
	r.fake.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		p := a.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
		p.Spec.NodeName = "node-1"
		p.CreationTimestamp = metav1.Now()
		p.Status = corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.244.0.7", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}
		return false, nil, nil
	})
	r.fake.AddProxyReactor("pods", func(clienttesting.Action) (bool, rest.ResponseWrapper, error) { return true, answer{r}, nil })
}

// answer is what the API server says about the canary.
type answer struct{ rig *rig }

func (a answer) DoRaw(ctx context.Context) ([]byte, error) {
	if a.rig.cutOff.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	err := apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "get", schema.GroupResource{}, "", "unknown", 0, true)
	return []byte(`{"message":"error trying to reach service: dial tcp 10.244.0.7:10250: connect: connection refused"}`), err
}

func (answer) Stream(context.Context) (io.ReadCloser, error) { return nil, errors.New("no stream") }

// programs stands for the objects of the chart: what Helm builds is installed, or removed where the documents begin with an empty line, as
// they do when it uninstalls.
type programs struct {
	*helmfake.PrintingKubeClient
	rig       *rig
	namespace string
}

func (p *programs) Build(manifest io.Reader, _ bool) (kube.ResourceList, error) {
	data, err := io.ReadAll(manifest)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte("\n")) {
		return nil, p.rig.runPrograms(p.namespace)
	}
	ctx := context.Background()
	apps, pods := p.rig.fake.AppsV1(), p.rig.fake.CoreV1().Pods(p.namespace)
	for _, err := range []error{
		apps.Deployments(p.namespace).Delete(ctx, controllerName, metav1.DeleteOptions{}),
		apps.DaemonSets(p.namespace).Delete(ctx, daemonName, metav1.DeleteOptions{}),
		pods.Delete(ctx, controllerName, metav1.DeleteOptions{}), pods.Delete(ctx, daemonName, metav1.DeleteOptions{}),
	} {
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	return nil, nil
}

// runPrograms is an installation whose programs all run.
func (r *rig) runPrograms(namespace string) error {
	ctx := context.Background()
	_, err := r.fake.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: controllerName, Namespace: namespace, Labels: map[string]string{versionLabel: "2.7.3"}},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](1)},
		Status:     appsv1.DeploymentStatus{UpdatedReplicas: 1, AvailableReplicas: 1},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = r.fake.AppsV1().DaemonSets(namespace).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: daemonName, Namespace: namespace},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "chaos-daemon", Image: "ghcr.io/chaos-mesh/chaos-daemon:v2.8.4"}},
		}}},
		Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 1, UpdatedNumberScheduled: 1, NumberAvailable: 1},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for name, component := range map[string]string{controllerName: "controller-manager", daemonName: "chaos-daemon"} {
		_, err := r.fake.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{componentLabel: component, instanceLabel: releaseName}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}

// addObject puts an object of Chaos Mesh into the cluster that Chaos Mesh holds on to.
func (r *rig) addObject(t *testing.T, plural, kind, name string) {
	t.Helper()
	require.NoError(t, r.dyns.Tracker().Create(groupVersion.WithResource(plural), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": groupVersion.String(), "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": here, "finalizers": []any{"chaos-mesh/records"}},
	}}, here))
}

// hold makes the finalizers of a resource hold. forced says whether Chaos Mesh lets go when it is asked to.
func (r *rig) hold(plural string, forced func() bool) {
	resource := groupVersion.WithResource(plural)
	r.dyns.PrependReactor("delete", plural, func(a clienttesting.Action) (bool, runtime.Object, error) {
		got, err := r.dyns.Tracker().Get(resource, here, a.(clienttesting.DeleteAction).GetName())
		if err != nil {
			return true, nil, err
		}
		o := got.(*unstructured.Unstructured).DeepCopy()
		o.SetDeletionTimestamp(ptr.To(metav1.Now()))
		return true, nil, r.dyns.Tracker().Update(resource, o, here)
	})
	r.dyns.PrependReactor("patch", plural, func(a clienttesting.Action) (bool, runtime.Object, error) {
		patch := a.(clienttesting.PatchAction)
		got, err := r.dyns.Tracker().Get(resource, here, patch.GetName())
		if err != nil {
			return true, nil, err
		}
		if asked := strings.Contains(string(patch.GetPatch()), "cleanFinalizer"); !asked || forced() {
			err = r.dyns.Tracker().Delete(resource, here, patch.GetName())
		}
		return true, got, err
	})
}

func (r *rig) ownedDefinitions(t *testing.T) int {
	t.Helper()
	list, err := r.dyns.Resource(definitionResource).List(t.Context(), metav1.ListOptions{LabelSelector: OwnedLabel + "=" + owned})
	require.NoError(t, err)
	return len(list.Items)
}

func (r *rig) podsMade() int {
	n := 0
	for _, a := range r.fake.Actions() {
		if create, ok := a.(clienttesting.CreateAction); ok && a.Matches("create", "pods") {
			if p, ok := create.GetObject().(*corev1.Pod); ok && p.Labels[canaryLabel] != "" {
				n++
			}
		}
	}
	return n
}

// convert reads a typed object.
func convert(t *testing.T, o *unstructured.Unstructured, into any) {
	t.Helper()
	data, err := json.Marshal(o.Object)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}
