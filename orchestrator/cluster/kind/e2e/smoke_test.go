//go:build kind

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
)

const (
	// chaosProblem is the one problem of the suite that is Chaos Mesh's work on every kernel.
	chaosProblem = "hotel-node-store-partition"
	// smokeFirst is about how long a cluster takes to come up and to go, smokeEach one problem with all agents on it.
	smokeFirst = 4 * time.Minute
	smokeEach  = 5 * time.Minute
	// playLimit is how long the whole suite with its twins takes at most.
	playLimit = 4 * time.Hour
)

// agentFlags are the agents that every problem is played with: one that knows the answers, one that does nothing, and one between.
func agentFlags() []string {
	return []string{"--agent", "oracle", "--agent", "nop", "--agent", "playbook"}
}

// partition plays the problem that Chaos Mesh injects on every kernel.
func partition(t *testing.T) {
	h := newHarness(t)
	h.playAll(t, "partition", []string{chaosProblem})
}

// smoke plays the other problems of the smoke suite that the kernel allows, as many as fit into the time that is left.
func smoke(t *testing.T, b budget) {
	h := newHarness(t)
	playable := slices.DeleteFunc(h.choose(t), func(id string) bool { return id == chaosProblem })
	require.NotEmpty(t, playable)
	// There was time for one when this step was begun; it may be some milliseconds less by now.
	now := max(1, b.most(smokeFirst, smokeEach, len(playable)))
	for _, id := range playable[now:] {
		t.Logf("left out, for the time is over: %s", id)
	}
	h.playAll(t, "smoke", playable[:now])
}

// TestAgreement plays all problems that the clusters can have, and their twins, and keeps the run for hack/agreement: make agreement asks for it. It
// takes half an hour or more.
func TestAgreement(t *testing.T) {
	dir := os.Getenv("GAMEDAY_E2E_RUNS")
	if dir == "" {
		t.Skip("nobody wants the run: GAMEDAY_E2E_RUNS is empty")
	}
	h := newHarness(t)
	h.runs = dir
	const id = "kind"
	require.NoError(t, os.RemoveAll(filepath.Join(h.runs, id)))
	require.NoError(t, os.MkdirAll(h.runs, 0o755))
	h.playAll(t, id, []string{suite}, "--twins", "--skip-infeasible")

	var left []string
	for _, l := range h.load(t, id).Run.LeftOut {
		left = append(left, l.Problem)
		t.Logf("left out: %s: %s", l.Problem, l.Reason)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(h.impossible(t))), left)
}

// playAll plays problems with all agents on a kind cluster that is used again and again: one that knows the answers gets everything, one that
// does nothing gets nothing but silence on twins, and every trial is graded.
func (h *harness) playAll(t *testing.T, id string, ids []string, more ...string) {
	t.Helper()
	args := slices.Concat([]string{"run"}, ids, agentFlags(), []string{
		"--run-id", id, "--out", h.runs, "--progress", "plain", "--timeout-multiplier", "3",
	}, more, kindFlags())
	code, stdout, stderr := h.callFor(t, playLimit, args...)
	t.Logf("%s\n%s", stderr, stdout)
	require.Zero(t, code)
	require.Empty(t, containers(t, "", ""), "the run took its clusters down")

	data := h.load(t, id)
	require.NotEmpty(t, data.Run.Images, "the digests of the images are in the run's record")
	last := results.Latest(data.Trials)
	require.Len(t, last, data.Run.Planned)
	for _, r := range last {
		require.Equal(t, results.Graded, r.Status, r.Dir)
		require.Empty(t, r.Left, r.Dir)
		t.Logf("%s: %s", r.Dir, scores(r))
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

// scores are what a trial got, for people.
func scores(r results.TrialRecord) string {
	var out []string
	for _, s := range r.Scores {
		out = append(out, fmt.Sprintf("%s %.2g", s.Task, s.Value))
	}
	return strings.Join(out, ", ")
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

// choose returns the problems that this machine can play, and logs the others with the reason.
func (h *harness) choose(t *testing.T) []string {
	t.Helper()
	ids, err := suiteProblems()
	require.NoError(t, err)
	missing := h.impossible(t)
	var playable []string
	for _, id := range ids {
		if reason := missing[id]; reason != "" {
			t.Logf("not possible here: %s: %s", id, reason)
			continue
		}
		playable = append(playable, id)
	}
	require.Contains(t, playable, chaosProblem, "one problem is Chaos Mesh's work")
	return playable
}

// impossible says why the machine cannot play problems of the suite, by problem.
func (h *harness) impossible(t *testing.T) map[string]string {
	t.Helper()
	ids, err := suiteProblems()
	require.NoError(t, err)
	asked, err := needs(ids)
	require.NoError(t, err)
	p, err := prepared()
	require.NoError(t, err)
	out := map[string]string{}
	for id, required := range asked {
		for _, name := range cluster.Missing(p, required) {
			out[id] = strings.TrimSpace(fmt.Sprintf("%s It requires %s: %s.", out[id], name, p.WhyNot(name)))
		}
	}
	return out
}
