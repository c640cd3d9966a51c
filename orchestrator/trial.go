package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/results"
)

// session is the agent-cloud interface of one trial, open from the brief until the agent is done.
type session interface {
	agents.Cloud
	// Submission is what the agent has handed in so far.
	Submission() agents.Submission
	// Usage is what the agent has spent so far.
	Usage() aci.Usage
	// Close ends the interface: later calls fail. It is idempotent.
	Close() error
}

// trial is one problem x agent x attempt under way.
type trial struct {
	env    *environment
	phases *phases
	// twin leaves the fault out.
	twin bool
	// agent makes the agent once everything about the fault is known; open makes what it speaks to.
	agent func() (agents.Agent, error)
	open  func(ctx context.Context, brief agents.Brief) (session, error)
	brief func() (agents.Brief, error)
	// up, when set, is called once the system stands: others may bring up theirs.
	up func()
	// collect, when set, keeps logs before the cluster is gone.
	collect func(ctx context.Context) error

	at marks
}

// outcome is how a trial ended.
type outcome struct {
	status     results.Status
	err        error
	submission agents.Submission
	snapshot   *evaluator.Snapshot
	usage      aci.Usage
	scores     []evaluator.Score
	// notes are failures that did not decide the status, for example of the clean-up.
	notes []error
}

// run plays the whole trial. Clean-up runs on every path, under its own deadlines, also after an interruption.
func (t *trial) run(ctx context.Context) outcome {
	out := t.blameCluster(t.play(ctx))
	after := context.WithoutCancel(ctx)
	for _, last := range []struct {
		phase Phase
		step  func(context.Context) error
	}{{Recover, t.recover}, {Collect, t.collectLogs}, {Clean, t.env.clean}} {
		if err := t.phases.run(after, last.phase, last.step); err != nil {
			out.notes = append(out.notes, err)
		}
	}
	t.noteBreakdown(out)
	return out
}

func (t *trial) collectLogs(ctx context.Context) error {
	if t.collect == nil || t.env.cluster == nil {
		return nil
	}
	return t.collect(ctx)
}

// play runs the trial up to its scores.
func (t *trial) play(ctx context.Context) outcome {
	if err := t.phases.run(ctx, Provision, t.env.provision); err != nil {
		return failed(err)
	}
	ctx, release := t.bindToCluster(ctx)
	defer release()
	if err := t.prepare(ctx); err != nil {
		return failed(err)
	}
	out := t.act(ctx)
	if out.status == results.Cancelled || out.status == results.InfraError {
		return out
	}
	return t.judge(ctx, out)
}

// prepare brings the system to where the agent is called: healthy, then, unless this is a twin, faulty.
func (t *trial) prepare(ctx context.Context) error {
	if err := t.phases.run(ctx, Deploy, t.env.deploy); err != nil {
		return err
	}
	if t.up != nil {
		t.up()
	}
	if err := t.phases.run(ctx, Baseline, t.env.proveHealthy); err != nil {
		return err
	}
	if t.twin {
		return nil
	}
	if err := t.phases.run(ctx, Inject, t.env.inject); err != nil {
		return err
	}
	return t.phases.run(ctx, FaultGate, t.env.proveFaulty)
}

// act lets the agent work and says how that went. The agent's own failures are graded on what it had handed in.
func (t *trial) act(ctx context.Context) outcome {
	t.at.faultLive = t.env.clock.Now()
	t.env.machine.saturated() // Marks where the time begins that is looked back at.
	var out outcome
	err := t.phases.runFor(ctx, Act, 0, func(ctx context.Context) error {
		agent, err := t.agent()
		if err != nil {
			return errs.With(errs.Agent, fmt.Errorf("make agent: %w", err))
		}
		brief, err := t.brief()
		if err != nil {
			return err
		}
		cloud, err := t.open(ctx, brief)
		if err != nil {
			return fmt.Errorf("open the agent-cloud interface: %w", err)
		}
		t.at.brief = t.env.clock.Now()
		err = solve(ctx, agent, brief, cloud)
		t.at.agentDone = t.env.clock.Now()
		out.submission, out.usage = cloud.Submission(), cloud.Usage()
		if err == nil { // What it spent counts also where it did not heed that it was told.
			err = errs.With(errs.Agent, brief.Budget.Overspent(out.usage.Tokens, out.usage.CostUSD))
		}
		return errors.Join(err, cloud.Close())
	})
	out.status, out.err = actStatus(ctx, err), err
	return out
}

// actStatus maps the end of an agent's work to a status; Graded stands for an agent that is done.
func actStatus(ctx context.Context, err error) results.Status {
	switch {
	case err == nil:
		return results.Graded
	case ctx.Err() != nil:
		return statusOf(err)
	case errors.Is(err, errBudgetTime):
		return results.AgentTimeout
	case errors.Is(err, agents.ErrBudget):
		return results.BudgetExhausted
	case errs.PartyOf(err) == errs.Agent:
		return results.AgentError
	}
	return statusOf(err)
}

// judge waits for the repair to show, takes the evidence and grades.
func (t *trial) judge(ctx context.Context, out outcome) outcome {
	limit := shortSettle
	if !t.twin && out.submission.Mitigation != nil {
		limit = settleLimit
	}
	err := t.phases.run(ctx, Settle, func(ctx context.Context) error {
		state, err := t.env.settle(ctx, limit)
		switch {
		case err != nil:
			return err
		case state.blameless():
			return errors.Join(errSaturated(), t.whole(ctx))
		}
		evidence, err := t.env.evidence(ctx, t.twin, t.at, state)
		out.snapshot = &evaluator.Snapshot{SchemaVersion: evaluator.SnapshotVersion, Topology: t.env.topology(), Evidence: evidence}
		return errors.Join(err, t.whole(ctx))
	})
	if err != nil {
		return outcome{status: statusOf(err), err: err, submission: out.submission, usage: out.usage}
	}
	err = t.phases.run(ctx, Grade, func(context.Context) error {
		out.scores, err = t.grade(out)
		return errs.With(errs.Grader, err)
	})
	if err != nil {
		out.status, out.err, out.scores = results.GraderError, err, nil
	}
	return out
}

func (t *trial) grade(out outcome) ([]evaluator.Score, error) {
	in := evaluator.Input{Submission: out.submission, Evidence: out.snapshot.Evidence, Topology: out.snapshot.Topology}
	if !t.twin {
		in.Truth = t.env.truth
	}
	return graders.GradeAll(in, t.env.problem.Tasks)
}

// failed is the outcome of a trial that did not come to its scores.
func failed(err error) outcome { return outcome{status: statusOf(err), err: err} }

// statusOf maps an error that ended a trial to its status.
func statusOf(err error) results.Status {
	switch {
	case errors.Is(err, errNotLive):
		return results.FaultNotLive
	case errs.PartyOf(err) == errs.Interrupted:
		return results.Cancelled
	case errs.PartyOf(err) == errs.Grader:
		return results.GraderError
	}
	return results.InfraError
}
