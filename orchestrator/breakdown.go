package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

// breakdownNotice is how long a cluster may take to notice that one of its processes, or the engine that its nodes are in, is gone: who
// called it has an error at once, while a busy machine takes seconds for each of the looks that have to fail. Only trials that have
// failed wait for it.
const breakdownNotice = 15 * time.Second

// bindToCluster ends the context when the cluster breaks down by itself, with the breakdown as its cause.
func (t *trial) bindToCluster(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-t.env.cluster.Done():
			cancel(brokeDown(t.env.cluster.Err()))
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel(nil) }
}

func brokeDown(err error) error {
	return errs.With(errs.Infra, fmt.Errorf("cluster broke down: %w", err))
}

// whole is an error when the cluster has broken down, or does not answer. Evidence counts only if it was whole when the
// last of it had been taken: what cannot be asked reads like a fault that is still there.
func (t *trial) whole(ctx context.Context) error {
	if _, err := t.env.kubernetes.Discovery().ServerVersion(); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("see whether the cluster is whole: %w", err))
	}
	return context.Cause(ctx)
}

// blameCluster gives a trial that failed because its cluster broke down that reason. The step that failed may have been
// faster than the news that the process which it had spoken to is gone.
func (t *trial) blameCluster(out outcome) outcome {
	if t.env.cluster == nil || out.status != results.InfraError && out.status != results.FaultNotLive {
		return out
	}
	notice := time.NewTimer(breakdownNotice)
	defer notice.Stop()
	select {
	case <-t.env.cluster.Done():
	case <-notice.C:
		return out
	}
	return outcome{
		status: results.InfraError, err: fmt.Errorf("%s: %w", t.phases.last, brokeDown(t.env.cluster.Err())),
		submission: out.submission, usage: out.usage,
	}
}

// recover removes the faults, unless they went down with the cluster.
func (t *trial) recover(ctx context.Context) error {
	if t.env.cluster == nil {
		return nil
	}
	ctx, release := t.bindToCluster(ctx)
	defer release()
	if t.env.cluster.Err() != nil {
		return nil
	}
	if err := t.env.recover(ctx); t.env.cluster.Err() == nil {
		return err
	}
	return nil
}

// noteBreakdown tells of a cluster that broke down after the trial was decided: its evidence had been taken by then.
func (t *trial) noteBreakdown(out outcome) {
	if t.env.cluster == nil || out.status == results.InfraError || t.env.cluster.Err() == nil {
		return
	}
	t.phases.observer.Event(Event{
		Time: t.phases.now(), Type: Note, Trial: t.phases.trial,
		Message: "after the evidence was taken: " + brokeDown(t.env.cluster.Err()).Error(),
	})
}
