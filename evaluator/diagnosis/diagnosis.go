// Package diagnosis grades the answer to "what is the root cause?".
package diagnosis

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
)

// Grader gives 1 when every part of the structured root cause is right: the component, the mechanism and, where the truth
// names one, the changed field. The explanation is for people; it is not graded.
type Grader struct{}

var _ evaluator.Grader = Grader{}

// Name is "diagnosis".
func (Grader) Name() string { return problems.Diagnosis }

// Grade compares part by part. Metrics: component, mechanism and (where the truth names one) field, each 0 or 1; tta and
// ttaFromBrief (seconds to a right answer).
func (Grader) Grade(in evaluator.Input) (evaluator.Score, error) {
	score := evaluator.Score{Task: problems.Diagnosis}
	want := in.Truth.RootCause
	if want.Mechanism == "" || want.Component.Name == "" {
		return score, errors.New("grade diagnosis: the truth names no root cause")
	}
	answer := in.Submission.Diagnosis
	if answer == nil {
		score.Reason = "no diagnosis was submitted"
		return score, nil
	}
	component := sameAny(want, answer.Component)
	mechanism := slices.Contains(append([]string{want.Mechanism}, want.AlsoMechanisms...), normalMechanism(answer.Mechanism))
	field := want.Field == "" || sameField(want.Field, answer.Field)
	score.Metrics = map[string]float64{"component": evaluator.Is1(component), "mechanism": evaluator.Is1(mechanism)}
	if want.Field != "" {
		score.Metrics["field"] = evaluator.Is1(field)
	}
	var wrong []string
	if !component {
		wrong = append(wrong, fmt.Sprintf("%s is not the component", evaluator.FormatComponent(answer.Component)))
	}
	if !mechanism {
		wrong = append(wrong, fmt.Sprintf("%q is not the mechanism", answer.Mechanism))
	}
	if !field {
		wrong = append(wrong, fmt.Sprintf("%q is not the changed field", answer.Field))
	}
	if len(wrong) > 0 {
		score.Reason = strings.Join(wrong, ", ")
		return score, nil
	}
	score.Value, score.Reason = 1, "component, mechanism and field are right"
	if want.Field == "" {
		score.Reason = "component and mechanism are right"
	}
	in.Evidence.Since(score.Metrics, "tta", answer.At)
	return score, nil
}

func sameAny(want truth.RootCause, named agents.Component) bool {
	return evaluator.SameComponent(want.Component, named) ||
		slices.ContainsFunc(want.AlsoComponents, func(c agents.Component) bool { return evaluator.SameComponent(c, named) })
}

func normalMechanism(m string) string {
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(m)))
}

var selector = regexp.MustCompile(`\[[^\]]*\]|\.\d+(\.|$)`)

// sameField compares field paths as people write them: a leading dot, list positions ([0], [name=http], .0) and letter case
// do not count, and the end of a path names it where it holds the last field (targetPort, ports[0].targetPort).
func sameField(want, given string) bool {
	want, given = normalField(want), normalField(given)
	return given != "" && (want == given || strings.HasSuffix(want, "."+given))
}

func normalField(path string) string {
	path = strings.ReplaceAll(strings.TrimSpace(path), "/", ".")
	path = selector.ReplaceAllString(path, "$1")
	return strings.ToLower(strings.Trim(path, "."))
}
