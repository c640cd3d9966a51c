package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// job is a trial that is to be played.
type job struct {
	scenarios.Trial
	// tries is how often it has failed for our own reasons already.
	tries int
}

// playAll runs the trials on as many workers as asked for, or has the executor do it.
func (r *Runner) playAll(ctx context.Context, config RunConfig, store *results.Store, jobs []job) error {
	if r.Executor != nil {
		return r.handOver(ctx, config, store, jobs)
	}
	queue := make(chan job)
	failures := make(chan error, config.Concurrency)
	starts := make(turns, max(config.Starts, 1))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range config.Concurrency {
		workers.Go(func() {
			for a := range queue {
				if err := r.playWithRetries(ctx, config, store, starts, a); err != nil {
					// A record that cannot be written ends the run: what goes on would be lost.
					failures <- err
					cancel(err)
					return
				}
			}
		})
	}
	for _, a := range jobs {
		select {
		case queue <- a:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(queue)
	workers.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	if len(all) == 0 && ctx.Err() != nil {
		all = append(all, errs.With(errs.Interrupted, fmt.Errorf("run trials: %w", context.Cause(ctx))))
	}
	return errors.Join(all...)
}

// playWithRetries plays one trial, and again while it fails for our own reasons and retries are left.
func (r *Runner) playWithRetries(ctx context.Context, config RunConfig, store *results.Store, starts turns, a job) error {
	for try := a.tries; ; try++ {
		up, err := starts.take(ctx)
		if err != nil {
			return nil //nolint:nilerr // The trial never began: a resumed run plays it.
		}
		record, err := r.playOnce(ctx, config, store, a.Trial, up)
		up()
		if err != nil {
			return fmt.Errorf("record trial %s: %w", a.Key, err)
		}
		if !record.Status.Retryable() || try >= config.InfraRetries || ctx.Err() != nil {
			return nil //nolint:nilerr // Its record says how it ended; that the run was interrupted is said once, for all.
		}
		r.Observer.Event(Event{Time: r.now(), Type: TrialRetried, Trial: a.String(), Message: string(record.Status)})
	}
}

// turns bounds how many systems are brought up at the same time. To bring one up takes all processors for seconds; to
// keep it up takes a part of one. Several that start at once keep each other, and those that are being measured, from
// the processor until deadlines are missed.
type turns chan struct{}

// take waits for a turn and returns what gives it back, which may be called more than once. The error is that of ctx.
func (t turns) take(ctx context.Context) (func(), error) {
	select {
	case t <- struct{}{}:
		return sync.OnceFunc(func() { <-t }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
