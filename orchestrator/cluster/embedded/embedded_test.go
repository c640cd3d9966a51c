package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// described is what the parent in the middle says about its cluster.
type described struct {
	Dir  string
	PIDs map[string]int
}

// TestMain plays the parent of a cluster when it is asked to: it brings one up, describes it, and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("EMBEDDED_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	c, err := (&embedded.Provider{}).Up(context.Background(), cluster.Spec{Nodes: 1})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	e := c.(*embedded.Cluster)
	line, _ := json.Marshal(described{Dir: e.Spec().Dir, PIDs: e.PIDs()})
	fmt.Println(string(line))
	<-c.Done()
}

func up(t *testing.T, nodes int) *embedded.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up a whole cluster")
	}
	c, err := (&embedded.Provider{}).Up(t.Context(), cluster.Spec{Nodes: nodes})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Down(context.Background())) })
	return c.(*embedded.Cluster)
}

func TestClusterComesUpAndLeavesNothing(t *testing.T) {
	c := up(t, 2)
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, nodes.Items, 2)
	for _, n := range nodes.Items {
		require.True(t, readiness.Node(&n), "node %s is Ready", n.Name)
	}
	table, err := proctree.Table()
	require.NoError(t, err)
	tree := proctree.Descendants(table, os.Getpid())

	require.NoError(t, c.Down(t.Context()))
	require.NoError(t, c.Down(t.Context()), "down is idempotent")
	require.NoDirExists(t, c.Spec().Dir)
	for _, p := range tree {
		if p.PID != os.Getpid() {
			require.Eventually(t, func() bool { return !proctree.Runs(p.PID) }, 5*time.Second, 10*time.Millisecond, "%s (%d) is gone", p.Name, p.PID)
		}
	}
	require.NoError(t, c.Err(), "an orderly end is no breakdown")
}

func TestKilledPartIsReported(t *testing.T) {
	for _, victim := range []string{"control-plane", "node-1"} {
		t.Run(victim, func(t *testing.T) {
			c := up(t, 1)
			require.NoError(t, syscall.Kill(c.PIDs()[victim], syscall.SIGKILL))
			select {
			case <-c.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("the breakdown was not noticed")
			}
			require.ErrorContains(t, c.Err(), victim)
			require.ErrorContains(t, c.Err(), "killed")
			require.Equal(t, errs.Infra, errs.PartyOf(c.Err()))
			require.NoError(t, c.Down(t.Context()))
			require.NoDirExists(t, c.Spec().Dir)
		})
	}
}

func TestKilledParentLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("brings up a whole cluster")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "EMBEDDED_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var d described
	require.NoError(t, json.Unmarshal(line, &d), string(line))
	require.DirExists(t, d.Dir)
	table, err := proctree.Table()
	require.NoError(t, err)
	tree := proctree.Descendants(table, parent.Process.Pid)
	require.Greater(t, len(tree), 2)

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	for _, p := range tree {
		require.Eventually(t, func() bool { return !proctree.Runs(p.PID) }, 10*time.Second, 10*time.Millisecond, "%s (%d) is gone", p.Name, p.PID)
	}
	require.Eventually(t, func() bool { _, err := os.Stat(d.Dir); return os.IsNotExist(err) }, 10*time.Second, 10*time.Millisecond)
}

func TestCrashedNodeComesBack(t *testing.T) {
	c := up(t, 2)
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	require.NoError(t, c.CrashNode(t.Context(), "node-2"))
	waitNode(t, client, "node-2", false)
	require.NoError(t, c.Err(), "a crash that was asked for is no breakdown")
	require.NoError(t, c.RestartNode(t.Context(), "node-2"))
	waitNode(t, client, "node-2", true)
	require.ErrorContains(t, c.CrashNode(t.Context(), "node-9"), "no such node")
}

func TestNameTaken(t *testing.T) {
	c := up(t, 1)
	_, err := (&embedded.Provider{}).Up(t.Context(), cluster.Spec{Name: c.Name()})
	require.ErrorContains(t, err, "the name is taken")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.FileExists(t, filepath.Join(c.Spec().Dir, "cluster.json"), "the other cluster is untouched")
}

func waitNode(t *testing.T, client kubernetes.Interface, name string, want bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		n, err := client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && readiness.Node(n) == want
	}, time.Minute, 100*time.Millisecond, "node %s has ready=%v", name, want)
}
