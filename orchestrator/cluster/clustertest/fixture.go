package clustertest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// logsVariable names the directory that takes the logs of a cluster whose tests failed.
const logsVariable = "GAMEDAY_E2E_LOGS"

// Fixture is one cluster for all tests of a package. It comes up with the first test that asks for it.
type Fixture struct {
	provider cluster.Provider
	spec     cluster.Spec

	once    sync.Once
	cluster cluster.Cluster
	err     error

	site siteOnce
}

// New returns a fixture whose cluster is not up yet.
func New(provider cluster.Provider, spec cluster.Spec) *Fixture {
	return &Fixture{provider: provider, spec: spec}
}

// Main runs the tests of a package and takes the cluster down: TestMain passes its result to os.Exit.
func (f *Fixture) Main(m *testing.M) int {
	code := m.Run()
	if f.cluster == nil {
		return code
	}
	if dir := os.Getenv(logsVariable); code != 0 && dir != "" {
		if logs, ok := f.cluster.(cluster.LogCollector); ok {
			if err := logs.CollectLogs(context.Background(), dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
	if err := f.cluster.Down(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Cluster returns the cluster, which the first call brings up. Under -short the test is skipped: whole clusters are for
// the full run.
func (f *Fixture) Cluster(t *testing.T) cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up a whole cluster")
	}
	f.once.Do(func() { f.cluster, f.err = f.provider.Up(context.Background(), f.spec) })
	require.NoError(t, f.err)
	return f.cluster
}

// Rig returns a rig with a namespace of its own, which ends with the test.
func (f *Fixture) Rig(t *testing.T) *Rig {
	t.Helper()
	r := f.In(t, "")
	r.makeNamespace()
	return r
}

// In returns a rig in a namespace that is there and stays.
func (f *Fixture) In(t *testing.T, namespace string) *Rig {
	t.Helper()
	c := f.Cluster(t)
	r := &Rig{T: t, Cluster: c, REST: c.RESTConfig(), Namespace: namespace}
	var err error
	r.Kube, err = kubernetes.NewForConfig(r.REST)
	require.NoError(t, err)
	r.Dynamic, err = dynamic.NewForConfig(r.REST)
	require.NoError(t, err)
	return r
}
