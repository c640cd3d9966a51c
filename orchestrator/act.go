package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
)

// agentGrace is how long an agent may take to return after its time is up.
const agentGrace = 5 * time.Second

// errBudgetTime is the cause of an agent's context that its time budget ended.
var errBudgetTime = errors.New("time budget of the agent exceeded")

// errAbandoned says that an agent did not return when it was told to.
var errAbandoned = fmt.Errorf("agent did not return within %s after its time was up", agentGrace)

// solve lets agent work until it returns, its time is up, or ctx ends, and recovers its panics. An agent that does not
// return in time is left behind: its calls fail from then on, because the cloud's context has ended.
func solve(ctx context.Context, agent agents.Agent, brief agents.Brief, cloud agents.Cloud) error {
	if brief.Budget.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, brief.Budget.Time, errBudgetTime)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- errs.Newf(errs.Agent, "agent panicked: %v\n%s", p, debug.Stack())
			}
		}()
		done <- agent.Solve(ctx, brief, cloud)
	}()
	select {
	case err := <-done:
		return attribute(ctx, err)
	case <-ctx.Done():
	}
	grace := time.NewTimer(agentGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return attribute(ctx, err)
	case <-grace.C:
		return errs.With(errs.Agent, fmt.Errorf("%w: %w", context.Cause(ctx), errAbandoned))
	}
}

// attribute makes an agent's error say why: a spent time budget and an ended trial come through the context.
func attribute(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		if err != nil && errs.PartyOf(err) == "" {
			err = errs.With(errs.Agent, err)
		}
		return err
	}
	if err == nil && errors.Is(context.Cause(ctx), errBudgetTime) {
		return nil // It was done, just in time.
	}
	if errors.Is(context.Cause(ctx), errBudgetTime) {
		return errs.With(errs.Agent, errBudgetTime)
	}
	return context.Cause(ctx)
}
