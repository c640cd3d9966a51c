// Package detection grades the answer to "is something wrong?".
package detection

import (
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/problems"
)

// Grader gives 1 for the right answer: an anomaly where a fault was injected, none on a twin. One trial says little (always
// answering yes is right half of the time): balanced accuracy is taken over a suite, see package results.
type Grader struct{}

var _ evaluator.Grader = Grader{}

// Name is "detection".
func (Grader) Name() string { return problems.Detection }

// Grade compares the answer with whether a fault was injected. Metrics: anomaly (the answer), fault (the truth), ttd and
// ttdFromBrief (seconds to a right alarm).
func (Grader) Grade(in evaluator.Input) (evaluator.Score, error) {
	score := evaluator.Score{Task: problems.Detection}
	answer := in.Submission.Detection
	if answer == nil {
		score.Reason = "no detection was submitted"
		return score, nil
	}
	fault := !in.Evidence.Twin
	score.Metrics = map[string]float64{"anomaly": evaluator.Is1(answer.Anomaly), "fault": evaluator.Is1(fault)}
	score.Value = evaluator.Is1(answer.Anomaly == fault)
	switch {
	case fault && answer.Anomaly:
		score.Reason = "the anomaly was found"
		in.Evidence.Since(score.Metrics, "ttd", answer.At)
	case fault:
		score.Reason = "the answer was no anomaly, but a fault was live"
	case answer.Anomaly:
		score.Reason = "false alarm: the answer was an anomaly, but nothing was wrong"
	default:
		score.Reason = "nothing was wrong, and the answer was no anomaly"
	}
	return score, nil
}
