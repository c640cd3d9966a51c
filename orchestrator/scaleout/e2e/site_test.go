//go:build kind

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind/kindtest"
)

const (
	// nodes is the number of worker nodes.
	nodes = 3
	// patience is how long a run may take to come to something, or to its end: the image has to get to the nodes, and clusters in pods
	// take minutes on a small machine.
	patience = 40 * time.Minute
)

// site is a kind cluster, and gameday beside it.
type site struct {
	cluster cluster.Cluster
	kube    kubernetes.Interface
	// context is the name in the kubeconfig.
	context      string
	binary, runs string
}

func newSite(t *testing.T) *site {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", kindtest.RuntimeDir(t))
	p := &kind.Provider{
		NodeImage: os.Getenv("GAMEDAY_KIND_NODE_IMAGE"),
		Chaos:     chaosmesh.Options{Chart: os.Getenv("GAMEDAY_CHAOS_MESH_CHART"), Images: os.Getenv("GAMEDAY_CHAOS_MESH_IMAGES")},
	}
	c, err := p.Up(t.Context(), cluster.Spec{Name: "scaleout", Nodes: nodes, Fidelity: "fast"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Down(context.WithoutCancel(t.Context()))) })
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	require.NoError(t, err)
	kube, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	binary, err := binaries.Find("", "gameday")
	require.NoError(t, err)
	return &site{cluster: c, kube: kube, context: config.CurrentContext, binary: binary, runs: t.TempDir()}
}

// run is a gameday under way.
type run struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan struct{}
}

// start starts gameday, which gets no signal of a terminal: the test sends those. It ends with the test's process, also where that is
// ended for having taken too long.
func (s *site) start(t *testing.T, args ...string) *run {
	t.Helper()
	r := &run{cmd: exec.Command(s.binary, args...), done: make(chan struct{})}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r.cmd.Env = append(os.Environ(), "NO_COLOR=1")
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	require.NoError(t, r.cmd.Start())
	go func() {
		_ = r.cmd.Wait() // The exit code is in ProcessState.
		close(r.done)
	}()
	t.Cleanup(func() {
		select {
		case <-r.done:
		default:
			_ = r.cmd.Process.Signal(os.Interrupt)
			<-r.done
		}
	})
	return r
}

// play starts a run on the cluster with two workers. Deadlines are stretched, for all of it shares the machine; one of two cores may
// still miss a baseline more than once.
func (s *site) play(t *testing.T, id string, args ...string) *run {
	t.Helper()
	return s.start(t, append([]string{
		"run", "--run-id", id, "--out", s.runs, "--executor", "kubernetes", "--kubeconfig", s.cluster.Kubeconfig(), "--context", s.context,
		"--workers", "2", "--worker-resources", "cpu=250m,memory=2Gi", "--timeout-multiplier", "3", "--infra-retries", "3",
		"--progress", "plain", "-v",
	}, args...)...)
}

// end waits for the end of a run and returns its exit code and what it said.
func (r *run) end(t *testing.T) (code int, said string) {
	t.Helper()
	select {
	case <-r.done:
		return r.cmd.ProcessState.ExitCode(), r.err.String()
	case <-time.After(patience):
		require.Fail(t, "the run did not end within "+patience.String())
		return 0, ""
	}
}

// await looks every second until look is content.
func (r *run) await(t *testing.T, what string, look func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	late := time.After(patience)
	for !look() {
		select {
		case <-tick.C:
		case <-r.done:
			require.Fail(t, "the run ended before "+what, r.err.String())
		case <-late:
			require.Fail(t, "for too long there was not "+what)
		}
	}
}

// pods are the pods of gameday that run, by their part: worker or depot.
func (s *site) pods(t *testing.T, part string) []corev1.Pod {
	t.Helper()
	list, err := s.kube.CoreV1().Pods(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{LabelSelector: "gameday.dev/part=" + part})
	require.NoError(t, err)
	var out []corev1.Pod
	for _, pod := range list.Items {
		if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			out = append(out, pod)
		}
	}
	return out
}

// crash kills a node, which is back when the test has ended, however it ends.
func (s *site) crash(t *testing.T, node string) {
	t.Helper()
	controller, ok := s.cluster.(cluster.NodeController)
	require.True(t, ok)
	t.Cleanup(func() { require.NoError(t, controller.RestartNode(context.WithoutCancel(t.Context()), node)) })
	require.NoError(t, controller.CrashNode(t.Context(), node))
}

// begun reports whether the log of a worker tells of a phase of its trial.
func (s *site) begun(t *testing.T, pod corev1.Pod, phase string) bool {
	t.Helper()
	log, err := s.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	return err == nil && strings.Contains(string(log), phase)
}

// requireNothingLeft fails where anything of gameday is still on the cluster.
func (s *site) requireNothingLeft(t *testing.T) {
	t.Helper()
	namespaces, err := s.kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: "gameday.dev/executor-run"})
	require.NoError(t, err)
	require.Empty(t, namespaces.Items)
	volumes, err := s.kube.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, volumes.Items)
	left, err := filepath.Glob(filepath.Join(s.runs, "*", ".incoming-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
