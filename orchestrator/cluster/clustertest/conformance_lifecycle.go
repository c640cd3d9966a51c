package clustertest

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// cancelledStart: a start that is cancelled gives an error, and nothing is left of it.
func (s *suite) cancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := s.provider.Up(ctx, s.spec)
	if err == nil {
		s.takeDown(t, c)
	}
	require.Error(t, err)
	require.Nil(t, c)
	s.nothingLeft(t, s.spec.Name)
}

// up: every node is Ready, and the two kinds of access that a cluster gives lead to the same one.
func (s *suite) up(t *testing.T) {
	r := s.fixture.In(t, "")
	require.NotEmpty(t, s.cluster.Name())
	nodes, err := r.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, n := range nodes.Items {
		require.True(t, readiness.Node(&n), "node %s is Ready: %+v", n.Name, n.Status.Conditions)
	}
	require.GreaterOrEqual(t, len(s.workers(r)), s.spec.Nodes)

	file, err := clientcmd.BuildConfigFromFlags("", s.cluster.Kubeconfig())
	require.NoError(t, err)
	require.Equal(t, namespaceUID(t, s.cluster.RESTConfig()), namespaceUID(t, file), "the kubeconfig is that of the same cluster")
	copied := s.cluster.RESTConfig()
	copied.Host = "changed by its owner"
	require.NotEqual(t, copied.Host, s.cluster.RESTConfig().Host)
	s.whole(t)
}

// namespaceUID identifies a cluster.
func namespaceUID(t *testing.T, config *rest.Config) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ns, err := client.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	require.NoError(t, err)
	return string(ns.UID)
}

// whole: what was done so far is no breakdown.
func (s *suite) whole(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cluster.Err())
	select {
	case <-s.cluster.Done():
		t.Fatal("Done is closed, and the cluster is whole")
	default:
	}
}

// nameTaken: a second cluster of the same name is refused with what to do, and the first one is untouched.
func (s *suite) nameTaken(t *testing.T) {
	if s.o.Attached {
		t.Skip("the provider attaches to a cluster that is there: nothing is named")
	}
	before := namespaceUID(t, s.cluster.RESTConfig())
	c, err := s.provider.Up(t.Context(), s.spec)
	if err == nil {
		s.takeDown(t, c)
	}
	require.Error(t, err)
	require.NotEmpty(t, errs.HintOf(err), "what to do about it: %v", err)
	require.Equal(t, before, namespaceUID(t, s.cluster.RESTConfig()))
	require.FileExists(t, s.cluster.Kubeconfig())
	s.whole(t)
}

// ownLogs: the cluster gives the logs of its own parts.
func (s *suite) ownLogs(t *testing.T) {
	collector, ok := s.cluster.(cluster.LogCollector)
	if !ok {
		t.Skip("no capability LogCollector")
	}
	dir := filepath.Join(t.TempDir(), "logs")
	require.NoError(t, collector.CollectLogs(t.Context(), dir))
	full := 0
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			full++
		}
		return err
	}))
	require.Positive(t, full, "files with logs in them")
}

// down: an orderly end is no breakdown, may be asked for twice, and leaves nothing.
func (s *suite) down(t *testing.T) {
	kubeconfig, config, name := s.cluster.Kubeconfig(), s.cluster.RESTConfig(), s.cluster.Name()
	require.NoError(t, s.cluster.Down(t.Context()))
	require.NoError(t, s.cluster.Down(t.Context()), "the second time")
	s.whole(t)
	s.nothingLeft(t, name)
	if s.o.Attached {
		return
	}
	require.NoFileExists(t, kubeconfig)
	config.Timeout = 5 * time.Second
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	_, err = client.Discovery().ServerVersion()
	require.Error(t, err, "the API server has ended")
}

// breakdown: a cluster that loses a part by accident says which one, and can still be taken down.
func (s *suite) breakdown(t *testing.T) {
	if s.o.Attached {
		t.Skip("the provider attaches to a cluster that somebody else has made: it is not the suite's to break")
	}
	spec := s.spec
	spec.Name += "-b"
	c, err := s.provider.Up(t.Context(), spec)
	require.NoError(t, err)
	t.Cleanup(func() { s.takeDown(t, c) })
	culprit := s.o.Break(t, c)
	select {
	case <-c.Done():
	case <-time.After(Patience):
		t.Fatalf("nobody noticed within %s that %s had ended", Patience, culprit)
	}
	require.ErrorContains(t, c.Err(), culprit)
	require.Equal(t, errs.Infra, errs.PartyOf(c.Err()))
	require.NoError(t, c.Down(t.Context()))
	require.NoError(t, c.Down(t.Context()), "the second time")
	s.nothingLeft(t, c.Name())
}

// takeDown ends a cluster whatever has become of it.
func (s *suite) takeDown(t *testing.T, c cluster.Cluster) {
	t.Helper()
	require.NoError(t, end(c))
}

// end takes a cluster down also when the test's own context is over.
func end(c cluster.Cluster) error { return c.Down(context.Background()) }

// nothingLeft waits until nothing is left of a cluster: the kernel and the container engine may take a moment.
func (s *suite) nothingLeft(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, finally("nothing is left of cluster "+name, func(context.Context) (bool, string) {
		left := s.o.Left(t, name)
		return len(left) == 0, fmt.Sprintf("there is still: %s", strings.Join(left, ", "))
	}))
}
