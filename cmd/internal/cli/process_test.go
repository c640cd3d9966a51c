package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/results"
)

// process is one run of the command line.
type process struct {
	cli.State
	out, err *bytes.Buffer
}

func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	p.State = cli.State{
		Args: args, LookupEnv: func(string) (string, bool) { return "", false }, Stdin: strings.NewReader(""),
		Stdout: p.out, Stderr: p.err, Width: 100, Cwd: t.TempDir(), Executable: "/bin/gameday",
		Exit: func(int) { t.Error("the process was ended at once") },
		Backend: cli.Backend{
			Run: func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
				t.Error("a run was started")
				return nil, nil
			},
			Doctor: func(context.Context, doctor.Options) []doctor.Check { return nil },
		},
	}
	return p
}

func (p *process) main() int { return cli.Main(p.State) }

// store plays a run: it writes real records, so that all that reads them can be tested on it.
func store(t *testing.T, statuses ...results.Status) func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
	t.Helper()
	return func(_ context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s, err := results.Create(c.OutDir, results.Run{
			ID: "20260102T030405Z-x-1a2b3c", Scenario: c.Scenario, Problems: c.Problems, Agents: c.Agents, Planned: len(statuses), StartedAt: at, Argv: c.Argv,
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		r.Observer.Event(orchestrator.Event{Time: at, Type: orchestrator.RunStarted, Message: s.Dir(), Fields: map[string]any{"trials": len(statuses)}})
		for i, status := range statuses {
			trial, err := s.OpenTrial(results.Key{Problem: c.Problems[0], Agent: c.Agents[0], Attempt: i + 1})
			require.NoError(t, err)
			record := results.TrialRecord{Status: status, Tasks: []string{"detection", "mitigation"}, StartedAt: at, FinishedAt: at.Add(9 * time.Second), Phases: map[string]float64{"act": 3}}
			if status.Scored() {
				record.Scores = []results.Score{{Task: "detection", Value: 1, Reason: "found"}, {Task: "mitigation", Value: 0.5, Reason: "half", Metrics: map[string]float64{"ttm": 7}}}
			} else {
				record.Error = &results.Failure{Party: "infra", Message: "no node", Phase: "provision"}
			}
			require.NoError(t, trial.Finish(record))
			r.Observer.Event(orchestrator.Event{Time: at, Type: orchestrator.TrialFinished, Trial: record.Key.String(), Message: string(status)})
		}
		return s.Finish(at.Add(time.Minute), nil)
	}
}
