package orchestrator

import (
	"context"
	"fmt"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/problems"
)

// proveLifeCycle plays healthy, faulty, recovered on one cluster: (b), (c), (h), (d).
func (c *checker) proveLifeCycle(ctx context.Context) {
	p, err := c.runner.resolve(c.id, c.seed)
	if err != nil {
		c.prove("b", "healthy without the fault", func() (string, error) { return "", err })
		return
	}
	env := c.runner.newEnvironment(c.config, p, c.seed)
	steps := &phases{trial: c.id, observer: c.runner.Observer, factor: c.config.TimeoutMultiplier, now: c.runner.now, took: map[Phase]float64{}}
	defer func() {
		after := context.WithoutCancel(ctx)
		_ = steps.run(after, Recover, env.recover) // A second time is harmless; the cluster goes anyway.
		_ = steps.run(after, Clean, env.clean)
	}()
	passed := func() bool { return c.results[len(c.results)-1].Passed }
	c.prove("b", "healthy without the fault", func() (string, error) { return c.healthy(ctx, env, steps) })
	if !passed() {
		return
	}
	c.prove("c", "with the fault the symptom shows and the mitigation oracle fails", func() (string, error) {
		if err := steps.run(ctx, Inject, env.inject); err != nil {
			return "", err
		}
		if err := steps.run(ctx, FaultGate, env.proveFaulty); err != nil {
			return "", err
		}
		state, err := env.look(ctx)
		if err != nil {
			return "", err
		}
		return env.wantMitigation(ctx, state, 0)
	})
	if !passed() {
		return
	}
	c.prove("h", "nothing visible names the fault or its injection", func() (string, error) { return c.leaks(ctx, env) })
	c.prove("d", "after recovery the mitigation oracle passes", func() (string, error) {
		bound := env.faults
		if err := steps.run(ctx, Recover, env.recover); err != nil {
			return "", err
		}
		env.faults = bound
		return env.wantRepaired(ctx, steps)
	})
}

// healthy brings the environment up and asks every oracle.
func (c *checker) healthy(ctx context.Context, env *environment, steps *phases) (string, error) {
	if err := steps.run(ctx, Provision, env.provision); err != nil {
		return "", err
	}
	if err := steps.run(ctx, Deploy, env.deploy); err != nil {
		return "", err
	}
	if err := steps.run(ctx, Baseline, env.proveHealthy); err != nil {
		return "", err
	}
	if err := env.readRuntime(ctx); err != nil {
		return "", err
	}
	if err := env.bind(); err != nil {
		return "", err
	}
	defer func() { env.faults = nil }()
	return env.wantRepaired(ctx, steps)
}

// wantRepaired lets the system settle as after a repair, which has to score 1.
func (e *environment) wantRepaired(ctx context.Context, steps *phases) (string, error) {
	var last state
	err := steps.run(ctx, Settle, func(ctx context.Context) (err error) {
		last, err = e.settle(ctx, settleLimit)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case last.blameless():
		return "", errSaturated()
	}
	return e.wantMitigation(ctx, last, 1)
}

// wantMitigation grades a claim of repair on a state, and objects when its score is not want.
func (e *environment) wantMitigation(ctx context.Context, s state, want float64) (string, error) {
	now := e.clock.Now()
	evidence, err := e.evidence(ctx, false, marks{faultLive: now, brief: now, agentDone: now}, s)
	if err != nil {
		return "", err
	}
	in := evaluator.Input{Truth: e.truth, Topology: e.topology(), Evidence: evidence}
	in.Submission.Mitigation = &agents.Mitigation{At: now}
	scores, err := graders.GradeAll(in, []string{problems.Mitigation})
	if err != nil {
		return "", err
	}
	if got := scores[0]; got.Value != want {
		return fmt.Sprintf("mitigation scores %v, want %v: %s", got.Value, want, got.Reason), nil
	}
	return "", nil
}
