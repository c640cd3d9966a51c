package scaleout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bundle"
	"github.com/gameday-bench/gameday/results"
)

// board is how far each trial of the run has got, and what is in the run directory already. It is used by one goroutine.
type board struct {
	work    orchestrator.Work
	clock   clock.PassiveClock
	ledgers map[results.Key]*ledger
	// gathered are the objects whose tries are in the run, by session and key.
	gathered map[string]bool
	// left are what clean-ups could not remove or gather; nil for one that could.
	left []error
}

// incomingPattern is the name of directories in which tries are unpacked. No reader of a run looks at it.
const incomingPattern = ".incoming-*"

func newBoard(w orchestrator.Work, clk clock.PassiveClock) (*board, error) {
	b := &board{work: w, clock: clk, ledgers: map[results.Key]*ledger{}, gathered: map[string]bool{}}
	for _, a := range w.Trials {
		b.ledgers[a.Key] = &ledger{failed: a.Tries}
	}
	data, err := results.Load(w.Store.Dir())
	if err != nil {
		return nil, err
	}
	placements, err := data.Placements()
	if err != nil {
		return nil, fmt.Errorf("read what was gathered: %w", err)
	}
	for _, p := range placements {
		b.gathered[p.Object] = true
	}
	// An earlier process may have been killed while it unpacked.
	stale, err := filepath.Glob(filepath.Join(w.Store.Dir(), incomingPattern))
	if err != nil {
		return nil, err
	}
	for _, dir := range stale {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return b, err
}

func (b *board) now() time.Time { return b.clock.Now().UTC() }

func (b *board) event(e orchestrator.Event) {
	e.Time = b.now()
	b.work.Observer.Event(e)
}

func (b *board) note(format string, args ...any) {
	b.event(orchestrator.Event{Type: orchestrator.Note, Message: fmt.Sprintf(format, args...)})
}

// final reports whether a trial needs no more tries. A trial that is not asked for needs none.
func (b *board) final(key results.Key) bool {
	l, asked := b.ledgers[key]
	return !asked || l.final(b.work.Config.InfraRetries)
}

// rest are the trials that need a try, in the order of the plan.
func (b *board) rest() []orchestrator.Assignment {
	var out []orchestrator.Assignment
	for _, a := range b.work.Trials {
		if !b.final(a.Key) {
			out = append(out, orchestrator.Assignment{Trial: a.Trial, Tries: b.ledgers[a.Key].failed})
		}
	}
	return out
}

// take puts a try into the run and returns how it ended: it is unpacked beside the trials and moved to its place in one step.
func (b *board) take(object string, task Task, data []byte) (results.Status, error) {
	dir, err := os.MkdirTemp(b.work.Store.Dir(), incomingPattern)
	if err != nil {
		return "", errs.With(errs.Infra, fmt.Errorf("take try of trial %s: %w", task.Key, err))
	}
	record, err := b.place(object, task, data, dir)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	b.ledgers[task.Key].add(record.Status)
	b.gathered[object] = true
	b.event(orchestrator.Finished(record, b.now()))
	return record.Status, nil
}

func (b *board) place(object string, task Task, data []byte, dir string) (results.TrialRecord, error) {
	if err := bundle.Unpack(data, dir); err != nil {
		return results.TrialRecord{}, fmt.Errorf("take try of trial %s: %w", task.Key, err)
	}
	placement, err := results.ReadPlacement(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return results.TrialRecord{}, fmt.Errorf("take try of trial %s: %w", task.Key, err)
	}
	placement.Object = object
	if err := results.MarkPlacement(dir, placement); err != nil {
		return results.TrialRecord{}, fmt.Errorf("take try of trial %s: %w", task.Key, err)
	}
	// Everybody may read a run, and directories for temporary files are for their owner only.
	if err := os.Chmod(dir, 0o755); err != nil {
		return results.TrialRecord{}, fmt.Errorf("take try of trial %s: %w", task.Key, err)
	}
	return b.work.Store.Import(task.Key, dir)
}

func (b *board) retried(key results.Key, why string) {
	b.event(orchestrator.Event{Type: orchestrator.TrialRetried, Trial: key.String(), Message: why})
}

// cut tells of a try that ended without a record: its pod was lost, or its worker died. Another pod plays the trial again.
func (b *board) cut(key results.Key, began time.Time, why string) {
	b.event(orchestrator.Event{
		Type: orchestrator.TrialFinished, Trial: key.String(), Message: "lost", Error: why, Seconds: max(b.now().Sub(began).Seconds(), 0),
	})
	b.retried(key, why)
}

// lose records a trial whose pods died more often than they may: the failure is ours, and there is nothing to grade. The trial is given
// up for a resumed run, too, as one is whose tries are used up. log is what the last of them printed.
func (b *board) lose(task Task, began time.Time, why string, log []byte) error {
	record, err := b.work.Blank(task.trial())
	if err != nil {
		return err
	}
	now := b.now()
	if began.IsZero() {
		began = now
	}
	record.Status, record.StartedAt, record.FinishedAt = results.InfraError, began.UTC(), now
	record.Error, record.GivenUp = &results.Failure{Party: string(errs.Infra), Message: why}, true
	trial, err := b.work.Store.OpenTrial(task.Key)
	if err != nil {
		return err
	}
	if len(log) > 0 {
		file, err := trial.Log("worker.log")
		if err == nil {
			_, err = file.Write(log)
		}
		if err != nil {
			return errors.Join(err, trial.Close())
		}
	}
	if err := trial.Finish(record); err != nil {
		return err
	}
	l := b.ledgers[task.Key]
	l.last, l.failed = results.InfraError, b.work.Config.InfraRetries+1
	b.event(orchestrator.Finished(record, now))
	return nil
}
