package results_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

func suite() (results.Run, []results.TrialRecord) {
	r := run()
	r.Agents, r.Problems, r.Planned, r.Status = []string{"nop", "oracle"}, []string{"p", "q"}, 8, results.RunFinished
	twin := func(p, a string, v float64) results.TrialRecord { return record(p, a, 1, true, results.Graded, v) }
	retried := record("q", "oracle", 1, false, results.FaultNotLive)
	last := record("q", "oracle", 1, false, results.Graded, 1, 1, 0, 1)
	last.Retry = 1
	last.Scores[0].Metrics = map[string]float64{"ttd": 4}
	return r, []results.TrialRecord{
		record("p", "oracle", 1, false, results.Graded, 1, 1, 1, 1), twin("p", "oracle", 1), retried, last, twin("q", "oracle", 1),
		record("p", "nop", 1, false, results.Graded, 0, 0, 0, 0), twin("p", "nop", 1),
		record("q", "nop", 1, false, results.InfraError),
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	s := results.Summarize(suite())
	require.Equal(t, 8, s.Planned)
	require.Equal(t, 7, s.Finished)
	require.Equal(t, 6, s.Scored)
	require.Equal(t, 1, s.Retries)
	require.InDelta(t, 0.75, s.Coverage, 0)
	require.Equal(t, map[results.Status]int{results.Graded: 6, results.InfraError: 1}, s.Statuses)

	nop, oracle := s.Agents[0], s.Agents[1]
	require.Equal(t, "nop", nop.Agent)
	require.InDelta(t, 0.5, *nop.BalancedAccuracy, 0, "always no anomaly is right half of the time")
	require.InDelta(t, 0.125, *nop.Score, 0)
	require.InDelta(t, 0.5, nop.Coverage, 0)
	require.Equal(t, 1, nop.Cell("diagnosis").N)
	require.Equal(t, 2, nop.Cell("diagnosis").Trials)

	require.InDelta(t, 1.0, *oracle.BalancedAccuracy, 0)
	require.InDelta(t, 0.5, *oracle.Cell("diagnosis").Mean, 0)
	require.InDelta(t, (1+1+0.5+1)/4.0, *oracle.Score, 1e-9)
	require.Equal(t, 2, oracle.Twins.N)
	require.Equal(t, results.Distribution{N: 1, Median: 4, P95: 4, Max: 4}, oracle.Times["ttd"])
	require.Len(t, oracle.Problems, 4)
	require.Equal(t, "p", oracle.Problems[1].Problem)
	require.True(t, oracle.Problems[1].Twin)
	require.Len(t, oracle.Problems[1].Tasks, 1)
}

func TestSummarizeNothing(t *testing.T) {
	t.Parallel()
	r := run()
	s := results.Summarize(r, nil)
	require.Nil(t, s.Agents[0].Score)
	require.Zero(t, s.Coverage)
	data, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(data), `"score":null`)
	require.Contains(t, s.Markdown(), "0 of 1 trials scored (coverage 0 %)")
}

func TestAgentFailuresCountAndOursDoNot(t *testing.T) {
	t.Parallel()
	r := run()
	r.Planned, r.Agents = 2, []string{"a"}
	s := results.Summarize(r, []results.TrialRecord{
		record("p", "a", 1, false, results.AgentTimeout, 1, 0, 0, 0), record("q", "a", 1, false, results.GraderError, 1, 1, 1, 1),
	})
	require.Equal(t, 1, s.Scored)
	require.InDelta(t, 0.25, *s.Agents[0].Score, 0)
	require.Nil(t, s.Agents[0].BalancedAccuracy, "without twins there is none")
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := results.Summarize(suite()).Markdown()
	require.Contains(t, text, "| oracle | 0.88 | 1.00 | 1.00 | 1.00 | 1.00 | 0.50 | 1.00 | 4/4 |")
	require.Contains(t, text, "| nop | 0.12 | 0.00 | 1.00 | 0.50 | 0.00 | 0.00 | 0.00 | 2/4 |")
	require.Contains(t, text, "| q | nop | - | - | - | - | 1 infra_error |")
	require.Contains(t, text, "| p (twin) | nop | 1.00 | - | - | - | 1 graded |")
	require.Contains(t, text, "- 1 x infra_error\n")
	require.NotContains(t, text, "Left out")
	run, records := suite()
	run.LeftOut = []results.LeftOut{{Problem: "slow", Reason: "its fault x requires netem (packets can be late;\nhere not)"}}
	text = results.Summarize(run, records).Markdown()
	require.Contains(t, text, "\nLeft out, for the clusters cannot have the faults:\n\n- slow: its fault x requires netem (packets can be late; here not)\n")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	require.Equal(t, results.Distribution{}, results.Describe(nil))
	require.Equal(t, results.Distribution{N: 4, Median: 2, P95: 9, Max: 9}, results.Describe([]float64{9, 1, 3, 2}))
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"p/oracle/1", "p.twin/oracle/12"} {
		key, err := results.ParseKey(text)
		require.NoError(t, err)
		require.Equal(t, text, key.String())
	}
	for _, text := range []string{"", "p/oracle", "p/oracle/0", "p/oracle/x", "/oracle/1", "a/b/1/2"} {
		_, err := results.ParseKey(text)
		require.Error(t, err, text)
	}
	require.Regexp(t, `^20260102T030405Z-smoke-[0-9a-f]{6}$`, results.NewRunID(time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)), "smoke"))
	a := results.Identity("p", "a", "embedded", 0, 1, false)
	require.Equal(t, a, results.Identity("p", "a", "embedded", 0, 1, false))
	require.NotEqual(t, a, results.Identity("p", "a", "embedded", 0, 1, true))
	require.NotEqual(t, a, results.Identity("p", "a", "embedded", 1, 1, false))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	require.Len(t, results.Statuses(), 8)
	for _, s := range results.Statuses() {
		require.True(t, s.Valid())
		require.False(t, s.Scored() && s.Retryable(), "%s is either the agent's or ours", s)
	}
	require.False(t, results.Status("ok").Valid())
}
