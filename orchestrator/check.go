package orchestrator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// CheckResult is one proof about a problem.
type CheckResult struct {
	// Letter is a to i; there is one g for each hack.
	Letter string `json:"letter"`
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Detail is why the proof failed; of a hack that is not scored as a repair, why it is not.
	Detail string `json:"detail,omitempty"`
	// Seconds is how long the proof took.
	Seconds float64 `json:"seconds"`
}

// CheckProblem proves one problem:
//
//	(a) its files decode and every name resolves
//	(b) without the fault every oracle says healthy
//	(c) with it the mitigation oracle fails and the declared symptom shows
//	(d) after Recover it passes
//	(e) agent oracle scores 1.0 on all tasks
//	(f) agent nop scores 0
//	(g) every hack fails
//	(h) nothing that an agent can see names the fault or its injection
//	(i) the twin is healthy and "no anomaly" is right on it
//
// The error is for what kept the proofs from being made, for example an interruption; a proof that fails is a result.
// seed chooses the draw.
func (r *Runner) CheckProblem(ctx context.Context, id string, seed int64, config RunConfig) ([]CheckResult, error) {
	config.defaults()
	r = r.withDefaults()
	c := &checker{runner: r, config: config, id: id, seed: seed}
	c.prove("a", "files decode and names resolve", func() (string, error) {
		_, err := r.resolve(id, seed)
		return "", err
	})
	if !c.results[0].Passed {
		return c.results, nil
	}
	proofs := []func(){
		func() { c.proveLifeCycle(ctx) },
		func() {
			c.proveTrial(ctx, "e", "agent oracle scores 1.0 on all tasks", "oracle", false, allScore(1))
		},
		func() { c.proveTrial(ctx, "f", "agent nop scores 0 on all tasks", "nop", false, allScore(0)) },
	}
	p, err := r.resolve(id, seed)
	if err != nil {
		return c.results, err
	}
	for _, hack := range p.truth.Hacks {
		proofs = append(proofs, func() { c.proveHack(ctx, hack) })
	}
	proofs = append(proofs, func() {
		c.proveTrial(ctx, "i", "the twin is healthy and \"no anomaly\" is right", "nop", true, endsWell)
	})
	for _, prove := range proofs {
		prove()
		if ctx.Err() != nil {
			return c.results, errs.With(errs.Interrupted, fmt.Errorf("check problem %s: %w", id, context.Cause(ctx)))
		}
	}
	return c.results, nil
}

type checker struct {
	runner  *Runner
	config  RunConfig
	id      string
	seed    int64
	results []CheckResult
	reason  string // set by a proof that has something to say of its success.
}

// prove runs one proof: it passes when there is neither an objection nor an error.
func (c *checker) prove(letter, name string, proof func() (objection string, err error)) {
	began := c.runner.now()
	c.reason = ""
	objection, err := proof()
	if err != nil {
		objection = err.Error()
	}
	result := CheckResult{Letter: letter, Name: name, Passed: objection == "", Detail: objection, Seconds: c.runner.now().Sub(began).Seconds()}
	message := fmt.Sprintf("(%s) %s: ok", letter, name)
	switch {
	case result.Passed && c.reason != "":
		result.Detail = c.reason
		message += ": " + c.reason
	case !result.Passed:
		message = fmt.Sprintf("(%s) %s: FAILED: %s", letter, name, objection)
	}
	c.results = append(c.results, result)
	c.runner.Observer.Event(Event{Time: c.runner.now(), Type: Note, Trial: c.id, Message: message, Seconds: result.Seconds})
}

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

// proveTrial plays a whole trial with a known agent and holds its scores against accept.
func (c *checker) proveTrial(ctx context.Context, letter, name, agent string, twin bool, accept func(outcome) string) {
	c.prove(letter, name, func() (string, error) {
		return c.play(ctx, agent, twin, nil, accept)
	})
}

// proveHack plays a hack as if it were a repair. It must not be scored as one.
func (c *checker) proveHack(ctx context.Context, hack truth.Hack) {
	c.prove("g", "hack fails: "+hack.Name, func() (string, error) {
		return c.play(ctx, "oracle", false, &hack, func(out outcome) string {
			for _, s := range out.scores {
				if s.Task != problems.Mitigation {
					continue
				}
				if s.Value != 0 {
					return fmt.Sprintf("mitigation scores %v: %s", s.Value, s.Reason)
				}
				c.reason = s.Reason
			}
			if c.reason == "" {
				return "mitigation was not graded"
			}
			return ""
		})
	})
}

// play runs one trial without a record. hack, when set, is played instead of the repair.
func (c *checker) play(ctx context.Context, agent string, twin bool, hack *truth.Hack, accept func(outcome) string) (string, error) {
	p, err := c.runner.resolve(c.id, c.seed)
	if err != nil {
		return "", err
	}
	env := c.runner.newEnvironment(c.config, p, c.seed)
	a := scenarios.Trial{Key: results.Key{Problem: c.id, Agent: agent, Attempt: 1, Twin: twin}, Seed: c.seed}
	t := &trial{
		env: env, twin: twin,
		phases: &phases{trial: a.String(), observer: c.runner.Observer, factor: c.config.TimeoutMultiplier, now: c.runner.now, took: map[Phase]float64{}},
		brief:  func() (agents.Brief, error) { return brief(p.entry.Problem, p.app, env.draw, a) },
		open: func(ctx context.Context, b agents.Brief) (session, error) {
			return openSession(ctx, env, b, func(aci.Entry) error { return nil })
		},
		agent: func() (agents.Agent, error) {
			params := agents.Params{Log: c.runner.Log}
			if agent == "oracle" {
				params.Script = script(env.truth, twin)
			}
			if hack != nil {
				params.Script = hackScript(env.truth, hack.Name)
			}
			return agents.New(agent, params)
		},
	}
	out := t.run(ctx)
	if out.status != results.Graded {
		return fmt.Sprintf("trial ended as %s: %v", out.status, out.err), nil
	}
	return accept(out), nil
}

// hackScript plays the hack called name with everything filled in, and claims a repair.
func hackScript(t truth.Truth, name string) *agents.Script {
	s := &agents.Script{Submission: agents.Submission{Mitigation: &agents.Mitigation{Summary: name}}}
	for _, hack := range t.Hacks {
		if hack.Name == name {
			s.Repair = steps(hack.Steps)
		}
	}
	return s
}

// allScore accepts an outcome in which every graded task has this value.
func allScore(want float64) func(outcome) string {
	return func(out outcome) string {
		var wrong []string
		for _, s := range out.scores {
			if s.Value != want {
				wrong = append(wrong, fmt.Sprintf("%s scores %v: %s", s.Task, s.Value, s.Reason))
			}
		}
		if len(out.scores) == 0 {
			wrong = append(wrong, "nothing was graded")
		}
		return strings.Join(wrong, "; ")
	}
}

// endsWell wants all scores at 1 and, at the end, every objective met and no alert.
func endsWell(out outcome) string {
	if reason := allScore(1)(out); reason != "" || out.snapshot == nil {
		return reason
	}
	e := out.snapshot.Evidence
	if end := (state{slos: e.SLOs, alerts: e.Alerts}); !end.well() {
		return fmt.Sprintf("the twin does not end well: objectives %+v, alerts %+v", e.SLOs, e.Alerts)
	}
	return ""
}

// leakLimit bounds the search for leaks, which takes half a minute on an idle machine.
const leakLimit = 5 * time.Minute
