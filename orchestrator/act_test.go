package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
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

// spender is a session whose agent reports what it spends.
type spender struct {
	session
	usage aci.Usage
}

func (s spender) Usage() aci.Usage            { return s.usage }
func (spender) Submission() agents.Submission { return agents.Submission{} }
func (spender) Close() error                  { return nil }

// TestReportedSpendingIsHeldToTheBudget has agents that go on to the end, whatever they were told about what they spend.
func TestReportedSpendingIsHeldToTheBudget(t *testing.T) {
	t.Parallel()
	problem := problems.Problem{Budget: problems.Budget{Steps: 9, Time: time.Hour, Tokens: 100, CostUSD: 0.5}}
	for name, c := range map[string]struct {
		usage aci.Usage
		want  results.Status
		text  string
	}{
		"within": {aci.Usage{Tokens: 100, CostUSD: 0.5}, results.Graded, ""},
		"tokens": {aci.Usage{Tokens: 101}, results.BudgetExhausted, "budget exhausted: tokens (limit 100)"},
		"cost":   {aci.Usage{CostUSD: 0.51}, results.BudgetExhausted, "budget exhausted: cost (limit 0.5 USD)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _, _ := broken(t)
			tr.env.clock = clock.RealClock{}
			tr.agent = func() (agents.Agent, error) { return agentFunc(func(context.Context) error { return nil }), nil }
			tr.brief = func() (agents.Brief, error) {
				return brief(problem, &workloads.Definition{}, problems.Draw{}, scenarios.Trial{})
			}
			tr.open = func(context.Context, agents.Brief) (session, error) { return spender{usage: c.usage}, nil }
			out := tr.act(t.Context())
			require.Equal(t, c.want, out.status)
			require.Equal(t, c.usage, out.usage)
			if c.text != "" {
				require.ErrorContains(t, out.err, c.text)
				require.Equal(t, errs.Agent, errs.PartyOf(out.err))
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
