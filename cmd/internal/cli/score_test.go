package cli_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/results"
)

func TestScoreIsOffline(t *testing.T) {
	t.Parallel()
	cwd, digest := t.TempDir(), ""
	play := func(want int, args ...string) *process {
		p := newProcess(t, args...)
		p.Cwd = cwd
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	var listed struct{ Items []struct{ ID, Digest string } }
	require.NoError(t, json.Unmarshal(play(0, "get", "problems", "-o", "json").out.Bytes(), &listed))
	for _, item := range listed.Items {
		if item.ID == "hotel-scaled-to-zero" {
			digest = item.Digest
		}
	}
	for id, digest := range map[string]string{"same": digest, "other": "sha256:0"} {
		s, err := results.Create(filepath.Join(cwd, "results", "runs"), results.Run{
			ID: id, Scenario: "x", Agents: []string{"nop"}, Planned: 1, Digests: map[string]string{"problem/hotel-scaled-to-zero": digest},
		})
		require.NoError(t, err)
		trial, err := s.OpenTrial(results.Key{Problem: "hotel-scaled-to-zero", Agent: "nop", Attempt: 1, Twin: true})
		require.NoError(t, err)
		require.NoError(t, trial.Write(results.SubmissionFile, agents.Submission{Detection: &agents.Detection{Anomaly: true}}))
		require.NoError(t, trial.Write(results.EvidenceFile, evaluator.Snapshot{SchemaVersion: 1, Evidence: evaluator.Evidence{Twin: true}}))
		require.NoError(t, trial.Finish(results.TrialRecord{
			Status: results.Graded, Tasks: []string{"detection"}, Scores: []results.Score{{Task: "detection", Value: 1, Reason: "wrongly"}},
		}))
		_, err = s.Finish(time.Now(), nil)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	p := play(0, "score", "same")
	require.Contains(t, p.err.String(), "hotel-scaled-to-zero.twin/nop/1 detection: was 1, is 0: false alarm")
	require.Contains(t, p.out.String(), filepath.Join("same", "scores", "1"))
	require.Contains(t, play(0, "get", "trials", "same").out.String(), "nop/1\tgraded\t1\t", "the run's own scores are kept")
	play(0, "score", "same", "--overwrite")
	require.Contains(t, play(0, "get", "trials", "same").out.String(), "nop/1\tgraded\t0\t")

	require.Contains(t, play(2, "score", "other").err.String(), "changed since the run: hotel-scaled-to-zero\nhint: ")
	play(0, "score", "other", "--allow-drift")
}
