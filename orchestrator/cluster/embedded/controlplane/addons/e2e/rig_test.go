package e2e

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

//go:embed workloads.yaml
var workloads string

// patience is how long the cluster may take to follow, on a machine under load.
const patience = 90 * time.Second

// namespace is where the tests' objects are.
const namespace = metav1.NamespaceDefault

// rig is a cluster with the workloads.
type rig struct {
	t       *testing.T
	rest    *rest.Config
	kube    kubernetes.Interface
	metrics metricsclient.Interface
}

// Scoped and RESTConfig make a rig what the in-process kubectl works with.
func (r *rig) Scoped(context.Context) (*rest.Config, func()) {
	return rest.CopyConfig(r.rest), func() {}
}
func (r *rig) RESTConfig() *rest.Config { return r.rest }

func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up a whole cluster")
	}
	c, err := (&embedded.Provider{}).Up(t.Context(), cluster.Spec{Nodes: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Down(context.Background())) })
	r := &rig{t: t, rest: c.RESTConfig()}
	r.kube, err = kubernetes.NewForConfig(r.rest)
	require.NoError(t, err)
	r.metrics, err = metricsclient.NewForConfig(r.rest)
	require.NoError(t, err)
	dyn, err := dynamic.NewForConfig(r.rest)
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(workloads), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		_, err := dyn.Resource(resource).Namespace(namespace).Create(t.Context(), object, metav1.CreateOptions{})
		require.NoError(t, err, "create %s %s", object.GetKind(), object.GetName())
	}
	r.eventually("metrics.k8s.io serves", func() (bool, string) {
		_, err := r.metrics.MetricsV1beta1().NodeMetricses().List(t.Context(), metav1.ListOptions{})
		return err == nil, errorText(err)
	})
	return r
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// eventually waits for condition, which says what it saw.
func (r *rig) eventually(what string, condition func() (bool, string)) {
	r.t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(r.t.Context(), 250*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		done, seen := condition()
		last = seen
		return done, nil
	})
	require.NoError(r.t, err, "%s: %s", what, last)
}

// load switches the burners on or off.
func (r *rig) load(state string) {
	r.t.Helper()
	_, err := r.kube.CoreV1().ConfigMaps(namespace).Patch(r.t.Context(), "load", types.MergePatchType,
		[]byte(`{"data":{"state":"`+state+`"}}`), metav1.PatchOptions{})
	require.NoError(r.t, err)
}

// scale sets the replicas of a deployment.
func (r *rig) scale(ns, name, replicas string) {
	r.t.Helper()
	_, err := r.kube.AppsV1().Deployments(ns).Patch(r.t.Context(), name, types.MergePatchType,
		[]byte(`{"spec":{"replicas":`+replicas+`}}`), metav1.PatchOptions{}, "scale")
	require.NoError(r.t, err)
}
