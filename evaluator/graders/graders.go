// Package graders knows every grader.
package graders

import (
	"fmt"
	"slices"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/detection"
	"github.com/gameday-bench/gameday/evaluator/diagnosis"
	"github.com/gameday-bench/gameday/evaluator/localization"
	"github.com/gameday-bench/gameday/evaluator/mitigation"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/problems"
)

// Version changes whenever the same input can be scored differently. It is stored with every score.
const Version = 1

// All returns the graders in the order of the tasks.
func All() []evaluator.Grader {
	return []evaluator.Grader{detection.Grader{}, localization.Grader{}, diagnosis.Grader{}, mitigation.Grader{}}
}

// Tasks returns the tasks of a problem that a trial is graded on, in order: all of them, but on a twin detection alone.
func Tasks(tasks []string, twin bool) []string {
	var out []string
	for _, task := range problems.Tasks() {
		if slices.Contains(tasks, task) && (!twin || task == problems.Detection) {
			out = append(out, task)
		}
	}
	return out
}

// GradeAll grades the tasks of one trial, in order; on a twin only detection. The error, of party grader, means that
// the trial cannot be graded: then no score counts.
func GradeAll(in evaluator.Input, tasks []string) ([]evaluator.Score, error) {
	scores := []evaluator.Score{}
	wanted := Tasks(tasks, in.Evidence.Twin)
	for _, grader := range All() {
		if !slices.Contains(wanted, grader.Name()) {
			continue
		}
		score, err := grade(grader, in)
		if err != nil {
			return nil, errs.With(errs.Grader, err)
		}
		scores = append(scores, score)
	}
	return scores, nil
}

// grade runs one grader. A grader that panics has failed; it does not take the run with it.
func grade(grader evaluator.Grader, in evaluator.Input) (score evaluator.Score, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("grade %s: panic: %v", grader.Name(), r)
		}
	}()
	if score, err = grader.Grade(in); err != nil {
		return score, err
	}
	if score.Value < 0 || score.Value > 1 || score.Reason == "" {
		return score, fmt.Errorf("grade %s: score %v (%q) is not a score", grader.Name(), score.Value, score.Reason)
	}
	return score, nil
}
