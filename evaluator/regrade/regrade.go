// Package regrade grades the trials of a stored run again, offline: from the truth in the catalogue and what the run kept.
package regrade

import (
	"errors"
	"fmt"
	"os"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/results"
)

// Change is a trial whose scores or status came out differently.
type Change struct {
	Trial string  `json:"trial"`
	Task  string  `json:"task,omitempty"`
	Was   float64 `json:"was"`
	Is    float64 `json:"is"`
	// Note says what else there is to know, for example why the trial could not be graded.
	Note string `json:"note,omitempty"`
}

// Result is a run graded again.
type Result struct {
	// Trials are all records, with new scores where there is evidence; the others as they were.
	Trials []results.TrialRecord
	// Regraded is the number of trials that were graded.
	Regraded int
	Changes  []Change
	// Drift are problems whose files are not those that the run used.
	Drift []string
}

// Run grades every trial of data that has evidence. A trial that cannot be graded becomes a grader_error and is listed as a
// change; the error is only for what makes the whole run impossible to grade.
func Run(data *results.Data, catalog *problems.Catalog) (*Result, error) {
	out := &Result{Trials: make([]results.TrialRecord, len(data.Trials))}
	copy(out.Trials, data.Trials)
	drifted := map[string]bool{}
	for i, record := range out.Trials {
		if !record.Status.Scored() && record.Status != results.GraderError {
			continue
		}
		problem, err := catalog.Get(record.Problem)
		if err != nil {
			return nil, fmt.Errorf("grade trial %s: %w", record.Key, err)
		}
		if want, ok := data.Run.Digests["problem/"+record.Problem]; ok && want != problem.Digest && !drifted[record.Problem] {
			drifted[record.Problem] = true
			out.Drift = append(out.Drift, record.Problem)
		}
		scores, err := grade(data.Dir, record, problem)
		out.Regraded++
		out.Changes = append(out.Changes, apply(&out.Trials[i], scores, err)...)
	}
	return out, nil
}

func grade(dir string, record results.TrialRecord, problem problems.Entry) ([]evaluator.Score, error) {
	var snapshot evaluator.Snapshot
	if err := results.ReadTrialFile(dir, record, results.EvidenceFile, &snapshot); err != nil {
		return nil, err
	}
	if snapshot.SchemaVersion != evaluator.SnapshotVersion {
		return nil, fmt.Errorf("read %s: schemaVersion is %d, want %d", results.EvidenceFile, snapshot.SchemaVersion, evaluator.SnapshotVersion)
	}
	in := evaluator.Input{Topology: snapshot.Topology, Evidence: snapshot.Evidence}
	var submission agents.Submission
	if err := results.ReadTrialFile(dir, record, results.SubmissionFile, &submission); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	in.Submission = submission
	if !record.Twin {
		raw, err := truth.Load(truth.Names{}, problem)
		if err != nil {
			return nil, err
		}
		if in.Truth, err = raw.Resolve(record.Draw); err != nil {
			return nil, err
		}
	}
	return graders.GradeAll(in, record.Tasks)
}

// apply puts new scores into a record and says what changed.
func apply(record *results.TrialRecord, scores []evaluator.Score, err error) []Change {
	name := record.Key.String()
	if err != nil {
		record.Status, record.Scores, record.Error = results.GraderError, nil, results.FailureOf(err, "grade")
		return []Change{{Trial: name, Note: err.Error()}}
	}
	old := *record
	record.Scores = make([]results.Score, len(scores))
	record.GraderVersion = graders.Version
	var changes []Change
	if old.Status == results.GraderError {
		record.Status, record.Error = results.Graded, nil
		changes = append(changes, Change{Trial: name, Note: "was grader_error, is graded"})
	}
	for i, score := range scores {
		record.Scores[i] = results.Score(score)
		if was, ok := old.Score(score.Task); ok && was.Value != score.Value {
			changes = append(changes, Change{Trial: name, Task: score.Task, Was: was.Value, Is: score.Value, Note: score.Reason})
		}
	}
	return changes
}
