// Package mitigation grades the repair. What the agent says is not looked at, only that it handed in: the state is.
package mitigation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/problems"
)

// Grader gives 1 when, after the settle window, every fault predicate is cleared, every user-path objective is met over the
// hold window with requests to prove it, and every invariant held: nothing deleted, scaled away, tampered with or lost.
// Alerts and pod readiness do not count.
type Grader struct{}

var _ evaluator.Grader = Grader{}

// Name is "mitigation".
func (Grader) Name() string { return problems.Mitigation }

// Grade reads the evidence. Metrics: faultsCleared, slosMet and invariantsHeld (each the share, 0 to 1), ttm and
// ttmFromBrief (seconds until a repair was handed in that holds). Evidence without a fault, an objective or an invariant
// proves nothing and is an error.
func (Grader) Grade(in evaluator.Input) (evaluator.Score, error) {
	score := evaluator.Score{Task: problems.Mitigation}
	e := in.Evidence
	switch {
	case len(e.Faults) < len(in.Truth.Faults) || len(e.Faults) == 0:
		return score, fmt.Errorf("grade mitigation: the evidence has %d fault predicates, want %d", len(e.Faults), max(1, len(in.Truth.Faults)))
	case len(e.SLOs) == 0:
		return score, errors.New("grade mitigation: the evidence has no objectives")
	case len(e.Collateral) == 0:
		return score, errors.New("grade mitigation: the evidence has no invariants")
	}
	answer := in.Submission.Mitigation
	if answer == nil {
		score.Reason = "no mitigation was submitted"
		return score, nil
	}
	var wrong []string
	cleared, met, held := 0, 0, 0
	for _, f := range e.Faults {
		if f.Live {
			wrong = append(wrong, fmt.Sprintf("the fault is still live (%s)", f.Detail))
			continue
		}
		cleared++
	}
	for _, s := range e.SLOs {
		switch {
		case s.Samples <= 0:
			wrong = append(wrong, fmt.Sprintf("objective %s has no requests to prove it", s.Name))
		case !s.Met:
			wrong = append(wrong, fmt.Sprintf("objective %s is not met (%.4g %s, want %.4g)", s.Name, s.Value, s.Unit, s.Target))
		default:
			met++
		}
	}
	for _, i := range e.Collateral {
		if !i.Held {
			wrong = append(wrong, strings.TrimSuffix(fmt.Sprintf("collateral damage: %s (%s)", i.Name, i.Detail), " ()"))
			continue
		}
		held++
	}
	score.Metrics = map[string]float64{
		"faultsCleared": share(cleared, len(e.Faults)), "slosMet": share(met, len(e.SLOs)),
		"invariantsHeld": share(held, len(e.Collateral)),
	}
	if len(wrong) > 0 {
		score.Reason = strings.Join(wrong, "; ")
		return score, nil
	}
	score.Value, score.Reason = 1, "the fault is gone, users are served, and nothing else was harmed"
	e.Since(score.Metrics, "ttm", answer.At)
	return score, nil
}

func share(n, of int) float64 { return float64(n) / float64(of) }
