// Package localization grades the answer to "where is it?".
package localization

import (
	"errors"
	"fmt"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
)

// Grader gives 1 when the first answers name exactly the true components, each by its name or an alias: with one true
// component the first answer, with n the first n in any order. There is no partial credit in the value; how near the
// answer was is in the metrics.
type Grader struct{}

var _ evaluator.Grader = Grader{}

// Name is "localization".
func (Grader) Name() string { return problems.Localization }

// Grade compares the ranked components with the true ones. Metrics: top1 and top3 (1 when one of the first 1 or 3 answers
// is true), exact (1 when the answer holds the true components and nothing else), answers (how many were given),
// graphDistance (calls between the first answer and the nearest true component on the app's topology; absent where they are
// not connected in it), ttl and ttlFromBrief (seconds to a right answer).
func (Grader) Grade(in evaluator.Input) (evaluator.Score, error) {
	score := evaluator.Score{Task: problems.Localization}
	want := in.Truth.Components
	if len(want) == 0 {
		return score, errors.New("grade localization: the truth names no component")
	}
	answer := in.Submission.Localization
	if answer == nil || len(answer.Components) == 0 {
		score.Reason = "no component was submitted"
		return score, nil
	}
	given := answer.Components
	score.Metrics = map[string]float64{
		"top1": evaluator.Is1(hits(want, given, 1) > 0), "top3": evaluator.Is1(hits(want, given, 3) > 0),
		"exact":   evaluator.Is1(hits(want, given, len(given)) == len(want) && allTrue(want, given)),
		"answers": float64(len(given)),
	}
	if distance, ok := distance(in.Topology, want, given[0]); ok {
		score.Metrics["graphDistance"] = float64(distance)
	}
	if hits(want, given, len(want)) == len(want) {
		score.Value = 1
		score.Reason = fmt.Sprintf("%s is where the fault is", evaluator.FormatComponent(given[0]))
		in.Evidence.Since(score.Metrics, "ttl", answer.At)
		return score, nil
	}
	score.Reason = fmt.Sprintf("%s is not where the fault is%s", evaluator.FormatComponent(given[0]), rank(want, given))
	if hits(want, given, 1) > 0 {
		score.Reason = fmt.Sprintf("%s is right, but only %d of %d faulty components are among the first %d answers",
			evaluator.FormatComponent(given[0]), hits(want, given, len(want)), len(want), len(want))
	}
	return score, nil
}

// hits counts the true components among the first k answers.
func hits(want []truth.Component, given []agents.Component, k int) int {
	found := map[int]bool{}
	for _, c := range given[:min(k, len(given))] {
		if i := evaluator.FindComponent(want, c); i >= 0 {
			found[i] = true
		}
	}
	return len(found)
}

func allTrue(want []truth.Component, given []agents.Component) bool {
	for _, c := range given {
		if evaluator.FindComponent(want, c) < 0 {
			return false
		}
	}
	return true
}

func rank(want []truth.Component, given []agents.Component) string {
	for i, c := range given {
		if evaluator.FindComponent(want, c) >= 0 {
			return fmt.Sprintf("; the right one was answer %d of %d", i+1, len(given))
		}
	}
	return ""
}

// distance is the least number of calls between the answer and any name of any true component.
func distance(t evaluator.Topology, want []truth.Component, answer agents.Component) (int, bool) {
	if evaluator.FindComponent(want, answer) >= 0 {
		return 0, true
	}
	least, found := 0, false
	for _, c := range want {
		for _, name := range append([]agents.Component{c.Component}, c.Aliases...) {
			if d, ok := t.Distance(name.Name, answer.Name); ok && (!found || d < least) {
				least, found = d, true
			}
		}
	}
	return least, found
}
