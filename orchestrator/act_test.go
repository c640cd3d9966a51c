package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

type agentFunc func(ctx context.Context) error

func (f agentFunc) Solve(ctx context.Context, _ agents.Brief, _ agents.Cloud) error { return f(ctx) }

type noCloud struct{}

func (noCloud) Tools() []agents.Tool { return nil }
func (noCloud) Call(context.Context, string, json.RawMessage) (agents.Result, error) {
	return agents.Result{}, nil
}

// TestAgentsEndsAsStatuses says what becomes of an agent that ends in each possible way.
func TestAgentsEndsAsStatuses(t *testing.T) {
	t.Parallel()
	waitForEnd := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		agent  agentFunc
		budget time.Duration
		outer  error // the cause with which the trial's context ends, nil where it does not
		want   results.Status
		text   string
	}{
		"done":                       {agent: func(context.Context) error { return nil }, want: results.Graded},
		"own failure":                {agent: func(context.Context) error { return errors.New("no model") }, want: results.AgentError, text: "no model"},
		"panic":                      {agent: func(context.Context) error { panic("boom") }, want: results.AgentError, text: "agent panicked: boom"},
		"time is up":                 {agent: waitForEnd, budget: time.Millisecond, want: results.AgentTimeout},
		"done as the time is up":     {agent: func(ctx context.Context) error { <-ctx.Done(); return nil }, budget: time.Millisecond, want: results.Graded},
		"budget of steps spent":      {agent: func(context.Context) error { return agents.ErrBudget }, want: results.BudgetExhausted},
		"interrupted":                {agent: waitForEnd, outer: errs.Newf(errs.Interrupted, "SIGINT"), want: results.Cancelled, text: "SIGINT"},
		"cluster broke down":         {agent: waitForEnd, outer: errs.Newf(errs.Infra, "node-1 was killed"), want: results.InfraError, text: "node-1"},
		"cluster error in the agent": {agent: func(context.Context) error { return errs.Newf(errs.Infra, "no API server") }, want: results.InfraError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.outer != nil {
				cancel(c.outer)
			}
			err := solve(ctx, c.agent, agents.Brief{Budget: agents.Budget{Time: c.budget}}, noCloud{})
			require.Equal(t, c.want, actStatus(ctx, err), "%v", err)
			if c.text != "" {
				require.ErrorContains(t, err, c.text)
			}
		})
	}
}

func TestPhaseDeadlineNamesPhaseAndParty(t *testing.T) {
	t.Parallel()
	var events []Event
	p := &phases{trial: "p/a/1", observer: ObserverFunc(func(e Event) { events = append(events, e) }), factor: 1, now: time.Now, took: map[Phase]float64{}}
	err := p.runFor(t.Context(), Baseline, time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("objective x is not met")
	})
	require.ErrorContains(t, err, "baseline: not done within 1ms")
	require.ErrorContains(t, err, "objective x is not met")
	require.Equal(t, results.InfraError, statusOf(err))
	require.Len(t, events, 2)
	require.Equal(t, PhaseFinished, events[1].Type)
	require.NotEmpty(t, events[1].Error)
	require.Equal(t, Baseline, p.last)

	err = p.run(t.Context(), FaultGate, func(context.Context) error { return errNotLive })
	require.Equal(t, results.FaultNotLive, statusOf(err))

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("SIGTERM"))
	err = p.run(ctx, Deploy, func(ctx context.Context) error { return ctx.Err() })
	require.Equal(t, results.Cancelled, statusOf(err))
	require.ErrorContains(t, err, "SIGTERM")
}
