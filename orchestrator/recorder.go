package orchestrator

import (
	"errors"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// recorder writes what happens in a trial into its directory and passes it on.
type recorder struct {
	dir  *results.Trial
	next Observer

	mu  sync.Mutex
	err error // the first failure to write; it fails the record at the end
}

func newRecorder(dir *results.Trial, next Observer) *recorder { return &recorder{dir: dir, next: next} }

// Event implements Observer.
func (r *recorder) Event(e Event) {
	if err := r.dir.AppendEvent(e); err != nil {
		r.mu.Lock()
		r.err = errors.Join(r.err, err)
		r.mu.Unlock()
	}
	r.next.Event(e)
}

// write stores the submission and the evidence, and reports what could not be written so far.
func (r *recorder) write(out outcome) error {
	r.mu.Lock()
	err := r.err
	r.mu.Unlock()
	err = errors.Join(err, r.dir.Write(results.SubmissionFile, out.submission))
	if out.snapshot != nil {
		err = errors.Join(err, r.dir.Write(results.EvidenceFile, out.snapshot))
	}
	return err
}

// record is the trial's line of trials.jsonl.
func (t *trial) record(out outcome, resolved *resolved, a scenarios.Trial, began, ended time.Time) results.TrialRecord {
	record := results.TrialRecord{
		ProblemVersion: resolved.entry.Problem.Version, Seed: a.Seed, Draw: t.env.draw, Tasks: graders.Tasks(resolved.entry.Problem.Tasks, a.Twin), Status: out.status,
		StartedAt: began, FinishedAt: ended, Phases: map[string]float64{}, Steps: out.usage.Steps,
		Tokens: out.usage.Tokens, CostUSD: out.usage.CostUSD,
		GraderVersion: graders.Version,
	}
	record.Key = a.Key
	for phase, seconds := range t.phases.took {
		record.Phases[string(phase)] = seconds
	}
	record.AgentSeconds = t.phases.took[Act]
	record.OverheadSeconds = ended.Sub(began).Seconds() - record.AgentSeconds
	record.Error = results.FailureOf(out.err, string(t.phases.last))
	for _, s := range out.scores {
		record.Scores = append(record.Scores, results.Score(s))
	}
	for _, note := range out.notes {
		record.Left = append(record.Left, note.Error())
	}
	return record
}
