package regrade_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/regrade"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
)

const problemFile = `apiVersion: gameday.dev/v1
kind: Problem
id: p
version: 1
title: T
author: A
difficulty: easy
app: shop
load: {profile: normal}
tasks: [detection, localization]
budget: {steps: 1, time: 1m}
prompt: Look.
parameters: {target: [geo, rate]}
`

const truthFile = `apiVersion: gameday.dev/v1
kind: Truth
canary: c
faults: [{id: f}]
symptom: {silent: "nothing shows"}
components: [{kind: Service, name: "${target}"}]
rootCause: {component: {kind: Service, name: "${target}"}, mechanism: wrong-port}
`

func catalog(t *testing.T) *problems.Catalog {
	t.Helper()
	c, err := problems.LoadCatalog(problems.Names{}, problems.Source{
		FS: fstest.MapFS{"p/problem.yaml": {Data: []byte(problemFile)}, "p/truth.yaml": {Data: []byte(truthFile)}}, Prefix: "cat",
	})
	require.NoError(t, err)
	return c
}

type stored struct {
	attempt  int
	twin     bool
	status   results.Status
	answer   string
	evidence bool
	was      float64
}

func store(t *testing.T, digest string, trials ...stored) *results.Data {
	t.Helper()
	s, err := results.Create(t.TempDir(), results.Run{ID: "r", Agents: []string{"a"}, Digests: map[string]string{"problem/p": digest}})
	require.NoError(t, err)
	for _, tr := range trials {
		trial, err := s.OpenTrial(results.Key{Problem: "p", Agent: "a", Attempt: tr.attempt, Twin: tr.twin})
		require.NoError(t, err)
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		submission := agents.Submission{Detection: &agents.Detection{Anomaly: !tr.twin, At: at.Add(time.Minute)}}
		if tr.answer != "" {
			submission.Localization = &agents.Localization{Components: []agents.Component{{Kind: "Service", Name: tr.answer}}}
		}
		require.NoError(t, trial.Write(results.SubmissionFile, submission))
		if tr.evidence {
			require.NoError(t, trial.Write(results.EvidenceFile, evaluator.Snapshot{
				SchemaVersion: evaluator.SnapshotVersion, Evidence: evaluator.Evidence{Twin: tr.twin, FaultLiveAt: at, BriefAt: at},
			}))
		}
		record := results.TrialRecord{Status: tr.status, Draw: map[string]string{"target": "rate", "namespace": "shop"}, Tasks: []string{"detection", "localization"}}
		if tr.status.Scored() {
			record.Scores = []results.Score{{Task: "detection", Value: 1}, {Task: "localization", Value: tr.was}}
		}
		require.NoError(t, trial.Finish(record))
	}
	_, err = s.Finish(time.Now(), nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	data, err := results.Load(s.Dir())
	require.NoError(t, err)
	return data
}

func TestRegrade(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	digest := c.All()[0].Digest
	data := store(t, digest,
		stored{1, false, results.Graded, "rate", true, 1},
		stored{2, false, results.AgentTimeout, "rate", true, 0},
		stored{3, false, results.GraderError, "geo", true, 0},
		stored{4, false, results.InfraError, "", false, 0},
		stored{5, false, results.Graded, "rate", false, 1},
		stored{1, true, results.Graded, "", true, 0},
	)
	got, err := regrade.Run(data, c)
	require.NoError(t, err)
	require.Equal(t, 5, got.Regraded)
	require.Empty(t, got.Drift)
	require.Len(t, got.Changes, 3)
	require.Equal(t, regrade.Change{Trial: "p/a/2", Task: "localization", Was: 0, Is: 1, Note: "Service rate is where the fault is"}, got.Changes[0])
	require.Equal(t, "was grader_error, is graded", got.Changes[1].Note)
	require.Contains(t, got.Changes[2].Note, "evidence.json: no such file")

	require.Equal(t, results.AgentTimeout, got.Trials[1].Status, "an agent's failure stays one")
	require.Equal(t, results.Graded, got.Trials[2].Status)
	require.InDelta(t, 0.0, got.Trials[2].Scores[1].Value, 0)
	require.Equal(t, results.InfraError, got.Trials[3].Status)
	require.Equal(t, results.GraderError, got.Trials[4].Status)
	require.Empty(t, got.Trials[4].Scores)
	require.Len(t, got.Trials[5].Scores, 1, "a twin has detection only")
	require.Equal(t, results.GraderError, data.Trials[2].Status, "what was read is not changed")
	require.InDelta(t, 60.0, got.Trials[0].Scores[0].Metrics["ttd"], 0)
}

func TestDrift(t *testing.T) {
	t.Parallel()
	got, err := regrade.Run(store(t, "sha256:other", stored{1, false, results.Graded, "rate", true, 1}, stored{2, false, results.Graded, "rate", true, 1}), catalog(t))
	require.NoError(t, err)
	require.Equal(t, []string{"p"}, got.Drift)
}

func TestScoreSets(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	data := store(t, c.All()[0].Digest, stored{1, false, results.Graded, "rate", true, 0})
	got, err := regrade.Run(data, c)
	require.NoError(t, err)
	for _, want := range []string{"1", "2"} {
		dir, err := results.AddScoreSet(data.Dir, got.Trials, results.Summarize(data.Run, got.Trials))
		require.NoError(t, err)
		require.Equal(t, data.Dir+"/scores/"+want, dir)
		require.FileExists(t, dir+"/summary.md")
	}
	again, err := results.Load(data.Dir)
	require.NoError(t, err)
	require.Equal(t, data.Trials, again.Trials, "a score set changes nothing of the run")
	require.NoError(t, results.ReplaceScores(data.Dir, got.Trials, results.Summarize(data.Run, got.Trials)))
	again, err = results.Load(data.Dir)
	require.NoError(t, err)
	require.InDelta(t, 1.0, again.Trials[0].Scores[1].Value, 0)
}
