//go:build kind

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

// problems are a share of the smoke suite that takes little time.
var problems = []string{"hotel-wrong-target-port", "hotel-scaled-to-zero"}

func TestScaleOut(t *testing.T) {
	s := newSite(t)
	t.Run("a node is killed", s.testNodeLoss)
	t.Run("interrupted and resumed", s.testResume)
	t.Run("the depot's node is killed", s.testDepotLoss) // The last one: the volume may go after the node is back only.
}

// testNodeLoss kills a node with a worker in the middle of its trial: the trial is played again, and every trial is graded.
func (s *site) testNodeLoss(t *testing.T) {
	const id = "node-loss"
	r := s.play(t, id, append([]string{"--agent", "oracle", "--agent", "nop"}, problems...)...)
	var victim corev1.Pod
	r.await(t, "a worker in a trial on a node without the depot", func() bool {
		depots := s.pods(t, "depot")
		if len(depots) == 0 {
			return false
		}
		for _, pod := range s.pods(t, "worker") {
			if pod.Spec.NodeName != depots[0].Spec.NodeName && s.begun(t, pod, "deploy") {
				victim = pod
				return true
			}
		}
		return false
	})
	t.Logf("killing node %s with pod %s", victim.Spec.NodeName, victim.Name)
	s.crash(t, victim.Spec.NodeName)
	code, said := r.end(t)
	t.Log(said)
	require.Zero(t, code)

	data, err := results.Load(filepath.Join(s.runs, id))
	require.NoError(t, err)
	require.Equal(t, results.RunFinished, data.Run.Status)
	last := results.Latest(data.Trials)
	require.Len(t, last, len(problems)*2)
	for _, record := range last {
		require.Equal(t, results.Graded, record.Status, record.Dir)
		want := 0.0
		if record.Agent == "oracle" {
			want = 1
		}
		for _, score := range record.Scores {
			require.InDelta(t, want, score.Value, 1e-9, "%s %s: %s", record.Dir, score.Task, score.Reason)
		}
	}
	placements, err := data.Placements()
	require.NoError(t, err)
	require.Len(t, placements, len(data.Trials))
	for dir, p := range placements {
		require.NotEqual(t, victim.Name, p.Pod, dir)
	}
	require.Contains(t, said, "its pod was lost")
	s.requireNothingLeft(t)
}

// testResume interrupts a run in the middle: it cleans up, and what is left of it is played when it is resumed.
func (s *site) testResume(t *testing.T) {
	const id = "resumed"
	r := s.play(t, id, append([]string{"--agent", "nop"}, problems...)...)
	r.await(t, "a worker in a trial", func() bool {
		for _, pod := range s.pods(t, "worker") {
			if s.begun(t, pod, "deploy") {
				return true
			}
		}
		return false
	})
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	code, said := r.end(t)
	require.Equal(t, 130, code, said)
	s.requireNothingLeft(t)
	data, err := results.Load(filepath.Join(s.runs, id))
	require.NoError(t, err)
	require.Equal(t, results.RunCancelled, data.Run.Status)

	code, said = s.start(t, "resume", filepath.Join(s.runs, id), "--progress", "plain").end(t)
	require.Zero(t, code, said)
	data, err = results.Load(filepath.Join(s.runs, id))
	require.NoError(t, err)
	last := results.Latest(data.Trials)
	require.Len(t, last, len(problems))
	for _, record := range last {
		require.Equal(t, results.Graded, record.Status, record.Dir)
	}
	s.requireNothingLeft(t)
}

// testDepotLoss kills the node with the depot in the middle of a trial: there is another depot, and what was lost with the first one is
// played again. A volume on the disk of the node that is away cannot be removed, which the run says and has an exit code for.
func (s *site) testDepotLoss(t *testing.T) {
	const id = "depot-loss"
	r := s.play(t, id, append([]string{"--agent", "nop"}, problems...)...)
	node := ""
	r.await(t, "a worker in a trial on a node without the depot", func() bool {
		depots := s.pods(t, "depot")
		for _, pod := range s.pods(t, "worker") {
			if len(depots) > 0 && pod.Spec.NodeName != depots[0].Spec.NodeName && s.begun(t, pod, "deploy") {
				node = depots[0].Spec.NodeName
				return true
			}
		}
		return false
	})
	t.Logf("killing node %s with the depot", node)
	s.crash(t, node)
	code, said := r.end(t)
	t.Log(said)
	require.Equal(t, errs.ExitEnvironment, code, "the volume is on the disk of a node that is away")
	require.Contains(t, said, "making another one")
	require.Contains(t, said, "delete persistentvolume pvc-")
	data, err := results.Load(filepath.Join(s.runs, id))
	require.NoError(t, err)
	last := results.Latest(data.Trials)
	require.Len(t, last, len(problems))
	for _, record := range last {
		require.Equal(t, results.Graded, record.Status, record.Dir)
	}
	namespaces, err := s.kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: "gameday.dev/executor-run"})
	require.NoError(t, err)
	require.Empty(t, namespaces.Items)
}
