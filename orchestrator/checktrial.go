package orchestrator

import (
	"context"
	"fmt"
	"strings"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

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
