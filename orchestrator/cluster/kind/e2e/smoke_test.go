//go:build kind

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
)

// leftOut is the file beside the run that says what was not played, in the form of hack/agreement's causes.
const leftOut = "left-out.yaml"

// TestSmoke plays the problems of the smoke suite that the kernel allows, and their twins, with three agents: one that knows the
// answers gets everything, one that does nothing gets nothing but silence on twins, and every trial is graded.
func TestSmoke(t *testing.T) {
	h := newHarness(t)
	if dir := os.Getenv("GAMEDAY_E2E_RUNS"); dir != "" {
		h.runs = dir
	}
	const id = "kind"
	require.NoError(t, os.RemoveAll(filepath.Join(h.runs, id)))
	require.NoError(t, os.MkdirAll(h.runs, 0o755))
	playable := h.choose(t)
	args := slices.Concat([]string{"run"}, playable, []string{
		"--twins", "--agent", "oracle", "--agent", "nop", "--agent", "playbook", "--run-id", id, "--out", h.runs, "--progress", "plain",
		"--timeout-multiplier", "3",
	}, kindFlags())
	code, stdout, stderr := h.call(t, args...)
	t.Log(stdout)
	require.Zero(t, code, stderr)
	require.Empty(t, containers(t, "", ""), "the run took its clusters down")

	data := h.load(t, id)
	require.Equal(t, len(playable)*2*3, data.Run.Planned)
	last := results.Latest(data.Trials)
	require.Len(t, last, data.Run.Planned)
	for _, r := range last {
		require.Equal(t, results.Graded, r.Status, r.Dir)
		switch {
		case r.Agent == "oracle":
			requireScores(t, r, 1)
		case r.Agent == "nop" && r.Twin:
			requireScores(t, r, 1) // Silence is right where nothing is wrong.
		case r.Agent == "nop":
			requireScores(t, r, 0)
		}
	}
	t.Logf("tried again: %d of %d trials", len(data.Trials)-len(last), len(last))
}

// requireScores holds every task of a trial to one value. A twin has no task but detection.
func requireScores(t *testing.T, r results.TrialRecord, want float64) {
	t.Helper()
	for _, task := range r.Tasks {
		if r.Twin && task != problems.Detection {
			continue
		}
		score, ok := r.Score(task)
		require.True(t, ok, "%s has a score for %s", r.Dir, task)
		require.InDelta(t, want, score.Value, 1e-9, "%s %s: %s", r.Dir, task, score.Reason)
	}
}

// choose returns the problems that this machine can play. It logs the others with the reason, and keeps that beside the run.
func (h *harness) choose(t *testing.T) []string {
	t.Helper()
	type cause struct {
		Problem string `yaml:"problem"`
		Missing string `yaml:"missing"`
		Cause   string `yaml:"cause"`
	}
	ids, err := suiteProblems()
	require.NoError(t, err)
	asked, err := needs(ids)
	require.NoError(t, err)
	missing := lacks(t)
	var playable []string
	var causes []cause
	for _, id := range ids {
		var reasons []string
		for _, need := range asked[id] {
			if reason, ok := missing[need]; ok {
				reasons = append(reasons, fmt.Sprintf("The kernel of this machine has no %s (%s).", need, reason))
			}
		}
		if len(reasons) == 0 {
			playable = append(playable, id)
			continue
		}
		t.Logf("not possible here: %s: %s", id, strings.Join(reasons, " "))
		causes = append(causes, cause{Problem: id, Missing: "kind", Cause: strings.Join(reasons, " ")})
	}
	require.Contains(t, playable, "hotel-node-store-partition", "one problem is Chaos Mesh's work")
	text, err := yaml.Marshal(map[string]any{"causes": causes})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(h.runs, leftOut), text, 0o644))
	return playable
}
