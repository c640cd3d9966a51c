package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/processor"
	"github.com/gameday-bench/gameday/results"
)

var allTasks = []string{"detection", "localization", "diagnosis", "mitigation"}

// played is a run of one problem and its twin in which everything is as it has to be.
func played() *results.Data {
	d := &results.Data{Run: results.Run{Agents: []string{"oracle", "nop", "playbook"}, Planned: 6}}
	for i, agent := range d.Run.Agents {
		for _, twin := range []bool{false, true} {
			r := results.TrialRecord{
				Key: results.Key{Problem: "p", Agent: agent, Attempt: 1, Twin: twin}, Status: results.Graded, Tasks: allTasks, OverheadSeconds: float64(10 * (i + 1)),
			}
			for _, task := range allTasks {
				value := map[string]float64{"oracle": 1, "nop": 0, "playbook": 0.5}[agent]
				if twin && task != "detection" {
					continue
				}
				if twin {
					value = 1
				}
				r.Scores = append(r.Scores, results.Score{Task: task, Value: value})
			}
			d.Trials = append(d.Trials, r)
		}
	}
	return d
}

// trial finds a record to spoil.
func trial(d *results.Data, agent string, twin bool) *results.TrialRecord {
	i := slices.IndexFunc(d.Trials, func(r results.TrialRecord) bool { return r.Agent == agent && r.Twin == twin })
	return &d.Trials[i]
}

// TestJudge holds records of runs against what they have to show.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		spoil  func(d *results.Data)
		held   bool
		graded int
		oracle []string
		nop    []string
		apart  bool // playbook is not between the others
	}{
		{name: "all right", spoil: func(*results.Data) {}, held: true, graded: 6},
		{name: "oracle misses a task", spoil: func(d *results.Data) { trial(d, "oracle", false).Scores[3].Value = 0.999 }, graded: 6, oracle: []string{"p: mitigation 0.999"}},
		{name: "oracle raises a false alarm", spoil: func(d *results.Data) { trial(d, "oracle", true).Scores[0].Value = 0 }, graded: 6, oracle: []string{"p (twin): detection 0"}},
		{name: "a task has no score", spoil: func(d *results.Data) {
			r := trial(d, "oracle", false)
			r.Scores = r.Scores[:3]
		}, graded: 6, oracle: []string{"p: no score for mitigation"}},
		{name: "oracle ran out of time, with full scores", spoil: func(d *results.Data) { trial(d, "oracle", false).Status = results.AgentTimeout }, graded: 5,
			oracle: []string{"p: agent_timeout"}},
		{name: "a trial of oracle has no record", spoil: func(d *results.Data) { d.Trials = d.Trials[1:] }, graded: 5,
			oracle: []string{"1 of 2 trials have a record"}, apart: true},
		{name: "nop scores", spoil: func(d *results.Data) { trial(d, "nop", false).Scores[3].Value = 0.25 }, graded: 6, nop: []string{"p: mitigation 0.25"}},
		{name: "nop is wrong on a twin", spoil: func(d *results.Data) { trial(d, "nop", true).Scores[0].Value = 0 }, graded: 6, nop: []string{"p (twin): detection 0"}},
		{name: "playbook is perfect", spoil: func(d *results.Data) {
			for i := range trial(d, "playbook", false).Scores {
				trial(d, "playbook", false).Scores[i].Value = 1
			}
		}, graded: 6, apart: true},
		{name: "playbook is as bad as nop", spoil: func(d *results.Data) {
			for i := range trial(d, "playbook", false).Scores {
				trial(d, "playbook", false).Scores[i].Value = 0
			}
		}, graded: 6, apart: true},
		{name: "playbook was not graded", spoil: func(d *results.Data) {
			trial(d, "playbook", true).Status = results.InfraError
			trial(d, "playbook", false).Status = results.InfraError
		}, graded: 4, apart: true},
		{name: "nothing was played", spoil: func(d *results.Data) { d.Trials = nil },
			oracle: []string{"0 of 2 trials have a record"}, nop: []string{"0 of 2 trials have a record"}, apart: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := played()
			tt.spoil(d)
			v := judge(d)
			require.Equal(t, tt.held, v.held())
			require.Equal(t, tt.graded, v.graded)
			require.Equal(t, 6, v.planned)
			require.Equal(t, tt.oracle, v.oracle)
			require.Equal(t, tt.nop, v.nop)
			require.Equal(t, !tt.apart, v.between)
		})
	}
}

// TestRetriesAreNamed: a try that another one followed is not a trial without a grade, and its time is nobody's overhead.
func TestRetriesAreNamed(t *testing.T) {
	t.Parallel()
	d := played()
	first := *trial(d, "oracle", false)
	first.Status, first.Scores, first.OverheadSeconds = results.FaultNotLive, nil, 500
	trial(d, "oracle", false).Retry = 1
	d.Trials = append(d.Trials, first)
	v := judge(d)
	require.True(t, v.held())
	require.Equal(t, "fault_not_live 1", counts(v.retried))
	require.Equal(t, "none", counts(v.ungraded))
	require.Equal(t, results.Distribution{N: 6, Median: 20, P95: 30, Max: 30}, v.overhead)

	o := outcome{took: 6 * time.Minute, processor: processor.Times{Busy: 9 * time.Minute, Stolen: 18 * time.Second, All: 12 * time.Minute}}
	r := smokeRow("one", v, o)
	require.True(t, r.Met)
	require.Equal(t, "6 of 6 graded; oracle 1.0: yes; nop 0, and 1.0 on twins: yes; playbook 0.56, between the two", r.Measured)
	require.Equal(t, "6.0 minutes, 60 trials per hour; overhead median 20.0 s, p95 30.0 s, highest 30.0 s; tried again: fault_not_live 1; 1.5 cores busy, steal 2.5 %", r.Note)

	spoilt := played()
	trial(spoilt, "oracle", false).Scores[0].Value = 0.5
	trial(spoilt, "nop", true).Status = results.InfraError
	bad := judge(spoilt)
	r = smokeRow("two", bad, o)
	require.False(t, r.Met)
	require.Contains(t, r.Measured, "5 of 6 graded; oracle 1.0: no: p: detection 0.5; nop 0, and 1.0 on twins: no: p (twin): infra_error;")
	require.Contains(t, r.Note, "not graded: infra_error 1")

	all := smokeRows([]verdict{v, bad, {}}, 1)
	require.Equal(t, "1 of 3", all[0].Measured)
	require.False(t, all[0].Met)
	require.Equal(t, "playbook 0.56 to 0.56; tried again: fault_not_live 1", all[0].Note)
	require.Equal(t, "median 20.0 s, p95 30.0 s, highest 30.0 s", all[1].Measured)
	require.Equal(t, "11 trials", all[1].Note)
	require.True(t, smokeRows([]verdict{v}, 1)[0].Met)
	require.Contains(t, smokeRows([]verdict{{}}, 1)[0].Note, "playbook unknown")
}

// TestRunThatWasStopped is reported by what its records say.
func TestRunThatWasStopped(t *testing.T) {
	t.Parallel()
	d := played()
	d.Trials = d.Trials[:3]
	trial(d, "nop", false).Status = results.Cancelled
	o := outcome{took: 15 * time.Minute, data: d, stopped: true, memory: 3 << 30, processor: processor.Times{Busy: 27 * time.Minute, All: 30 * time.Minute}}
	r := trialsPerHour(4, o)
	require.False(t, r.Met)
	require.Equal(t, "8", r.Measured)
	require.Equal(t, "interrupted, ended after 15m0s; 2 of 6 scored, 0 retried; 1.8 cores busy, steal 0.0 %, at most 3072 MiB; trials: graded 2, cancelled 1", r.Note)

	o.stopped, o.data = false, played()
	require.True(t, trialsPerHour(4, o).Met)
	o.left.Files = []string{"/r/c-1"}
	r = trialsPerHour(4, o)
	require.False(t, r.Met)
	require.Contains(t, r.Note, "left behind: /r/c-1")
}
