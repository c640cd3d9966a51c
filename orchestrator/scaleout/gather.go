package scaleout

import (
	"context"
	"errors"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// lossTimeout bounds the time that one look into the store loses on objects that cannot be read: a store that does not answer at all
// does so for each of them.
const lossTimeout = time.Minute

// storeError is an error of the store, not of this machine.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// gather puts every try that is in the store and not in the run into the run. One that cannot be read does not keep the others out.
// Errors of the store are of type storeError, the first one is returned; others are of this machine.
func (s *session) gather(ctx context.Context) error {
	keys, err := s.store.List(ctx, triesPrefix)
	if err != nil {
		return &storeError{err}
	}
	var failed error
	lost := time.Duration(0)
	for _, key := range keys {
		t, err := parseTry(key)
		if err != nil || t.index >= len(s.plan.Tasks) {
			continue // Nothing that a worker of this plan has made.
		}
		s.stored[t.pod] = true
		began := s.Clock.Now()
		err = s.gatherTry(ctx, key, s.plan.Tasks[t.index])
		var remote *storeError
		if err != nil && !errors.As(err, &remote) {
			return err
		}
		if err == nil {
			continue
		}
		if failed == nil {
			failed = err
		}
		if lost += s.Clock.Since(began); lost > lossTimeout || ctx.Err() != nil {
			break
		}
	}
	return failed
}

// gatherTry puts one try into the run, unless it is there already or is of no use.
func (s *session) gatherTry(ctx context.Context, key string, task Task) error {
	object := s.id + "/" + key
	if s.board.gathered[object] {
		return nil
	}
	if s.board.final(task.Key) {
		s.board.gathered[object] = true // The other of two pods, one of which was cut off, was first.
		return nil
	}
	data, err := s.fetch(ctx, key)
	if errors.Is(err, blob.ErrCorrupt) {
		// Another pod plays the trial if this one is gone: what cannot be read is as if it were not there.
		s.board.note("a try of trial %s is damaged and is left out: %v", task.Key, err)
		s.board.gathered[object] = true
		return nil
	}
	if err != nil {
		return &storeError{err}
	}
	status, err := s.board.take(object, task, data)
	if err != nil {
		return err
	}
	if !s.ending && !s.board.final(task.Key) {
		s.board.retried(task.Key, string(status))
	}
	return nil
}

// fetch reads an object. One that is damaged is read once more: that may have happened on its way.
func (s *session) fetch(ctx context.Context, key string) ([]byte, error) {
	data, err := s.store.Get(ctx, key)
	if errors.Is(err, blob.ErrCorrupt) {
		return s.store.Get(ctx, key)
	}
	return data, err
}
