package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/gameday-bench/gameday/internal/errs"
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
	r.announce(config)
	proofs, err := r.checkProblem(ctx, id, seed, config)
	return proofs, errors.Join(err, r.release(ctx, config))
}

func (r *Runner) checkProblem(ctx context.Context, id string, seed int64, config RunConfig) ([]CheckResult, error) {
	c := &checker{runner: r, config: config, id: id, seed: seed}
	c.prove("a", "files decode and names resolve", func() (string, error) {
		p, err := r.resolve(id, seed)
		if err != nil {
			return "", err
		}
		return "", r.feasible(p, config.Cluster)
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
