package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

//go:embed workloads.yaml
var workloads string

var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// rig is a namespace on the cluster, with a client of metrics.k8s.io.
type rig struct {
	*clustertest.Rig
	metrics metricsclient.Interface
}

// Scoped and RESTConfig make a rig what the in-process kubectl works with.
func (r *rig) Scoped(context.Context) (*rest.Config, func()) {
	return rest.CopyConfig(r.REST), func() {}
}
func (r *rig) RESTConfig() *rest.Config { return r.REST }

// newRig returns a rig on a cluster whose metrics.k8s.io serves.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: fixture.Rig(t)}
	var err error
	r.metrics, err = metricsclient.NewForConfig(r.REST)
	require.NoError(t, err)
	r.Eventually("metrics.k8s.io serves", func() (bool, string) {
		_, err := r.metrics.MetricsV1beta1().NodeMetricses().List(t.Context(), metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
	return r
}

// load switches the burners on or off.
func (r *rig) load(state string) { r.set("load", "state", state) }

// set changes one value of a ConfigMap.
func (r *rig) set(name, key, value string) {
	r.T.Helper()
	_, err := r.Kube.CoreV1().ConfigMaps(r.Namespace).Patch(r.T.Context(), name, types.MergePatchType,
		fmt.Appendf(nil, `{"data":{%q:%q}}`, key, value), metav1.PatchOptions{})
	require.NoError(r.T, err)
}

// scale sets the replicas of a deployment.
func (r *rig) scale(ns, name, replicas string) {
	r.T.Helper()
	_, err := r.Kube.AppsV1().Deployments(ns).Patch(r.T.Context(), name, types.MergePatchType,
		[]byte(`{"spec":{"replicas":`+replicas+`}}`), metav1.PatchOptions{}, "scale")
	require.NoError(r.T, err)
}
