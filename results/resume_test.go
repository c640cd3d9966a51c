package results_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

func TestPending(t *testing.T) {
	t.Parallel()
	key := func(agent string) results.Key { return results.Key{Problem: "p", Agent: agent, Attempt: 1} }
	var planned []results.Key
	data := &results.Data{}
	for _, c := range []struct {
		agent string
		tries []results.Status
	}{
		{"a-graded", []results.Status{results.Graded}},
		{"b-agent-failed", []results.Status{results.AgentTimeout}},
		{"c-cancelled", []results.Status{results.Cancelled}},
		{"d-used-up", []results.Status{results.InfraError, results.FaultNotLive}},
		{"e-one-left", []results.Status{results.InfraError}},
		{"f-one-left-after-kill", []results.Status{results.InfraError, results.Cancelled}},
		{"g-new", nil},
		{"h-second-try", []results.Status{results.InfraError, results.Graded}},
		{"i-given-up", []results.Status{results.InfraError}},
	} {
		planned = append(planned, key(c.agent))
		for n, status := range c.tries {
			r := record("p", c.agent, 1, false, status)
			r.Retry, r.GivenUp = n, c.agent == "i-given-up"
			data.Trials = append(data.Trials, r)
		}
	}
	require.Equal(t, []results.Pending{
		{Key: key("c-cancelled")}, {Key: key("e-one-left"), Tries: 1}, {Key: key("f-one-left-after-kill"), Tries: 1}, {Key: key("g-new")},
	}, data.Pending(planned, 1))
	require.Equal(t, []results.Pending{
		{Key: key("b-agent-failed")}, {Key: key("c-cancelled")}, {Key: key("d-used-up")}, {Key: key("e-one-left")},
		{Key: key("f-one-left-after-kill"), Tries: 1}, {Key: key("g-new")}, {Key: key("i-given-up")},
	}, data.Pending(planned, 1, results.AgentTimeout, results.FaultNotLive, results.InfraError), "asked for again, with all tries")
}

func TestKilledTryGetsARecord(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	key := results.Key{Problem: "p", Agent: "oracle", Attempt: 1, Twin: true}
	first, err := store.OpenTrial(key)
	require.NoError(t, err)
	require.NoError(t, first.Finish(record("p", "oracle", 1, true, results.InfraError)))
	second, err := store.OpenTrial(key)
	require.NoError(t, err)
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, e := range []map[string]any{{"type": "trial_started"}, {"type": "phase_started", "phase": "provision"}, {"type": "phase_started", "phase": "act"}} {
		e["time"] = began.Add(time.Duration(i) * time.Second)
		require.NoError(t, second.AppendEvent(e))
	}
	// What the kernel leaves of a process that is killed while it writes.
	for name, text := range map[string]string{results.EventsFile: `{"type":"phase_sta`, "." + results.TrialFile + ".123": `{"sch`} {
		f, err := os.OpenFile(filepath.Join(second.Dir(), name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.NoError(t, store.Close())

	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, results.RunInterrupted, data.Run.Status)
	require.Equal(t, "interrupted", data.Run.Error.Party)
	require.Contains(t, data.Run.Error.Hint, "gameday resume "+run().ID)
	killed, err := data.Killed()
	require.NoError(t, err)
	require.Equal(t, []results.Killed{{Key: key, Retry: 1, Phase: "act", Began: began, Last: began.Add(2 * time.Second)}}, killed)
	require.Equal(t, "trials/p.twin/oracle/1.r1 (in act)", killed[0].String())

	now := began.Add(time.Hour)
	store, err = results.Reopen(store.Dir(), now)
	require.NoError(t, err)
	require.NoError(t, store.RecordKilled(killed[0], results.TrialRecord{ProblemVersion: 3, Tasks: []string{"detection"}}))
	third, err := store.OpenTrial(key)
	require.NoError(t, err)
	require.Equal(t, 2, third.Retry())
	require.NoError(t, store.Close())
	data, err = results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, []time.Time{now}, data.Run.ResumedAt)
	require.Len(t, data.Trials, 2)
	require.Equal(t, results.Cancelled, data.Trials[1].Status)
	require.Equal(t, &results.Failure{Party: "interrupted", Message: "the process of the run was killed", Phase: "act"}, data.Trials[1].Error)
	require.Equal(t, 3, data.Trials[1].ProblemVersion)
	require.Equal(t, []string{third.RelDir()}, data.Unfinished)
	require.NoFileExists(t, filepath.Join(second.Dir(), "."+results.TrialFile+".123"))
	var alone results.TrialRecord
	require.NoError(t, results.ReadTrialFile(data.Dir, data.Trials[1], results.TrialFile, &alone))
	whole, err := json.Marshal(alone)
	require.NoError(t, err)
	line, err := json.Marshal(data.Trials[1])
	require.NoError(t, err)
	require.JSONEq(t, string(line), string(whole))
}
