package scaleout

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// follow watches the Job to its end and gathers the tries as they come. When it returns nil, each trial of the plan has a final
// record, but for those whose tries were lost with a depot.
func (s *session) follow(ctx context.Context) error {
	tick := s.Clock.NewTicker(poll)
	defer tick.Stop()
	for {
		done, err := s.round(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C():
		}
	}
}

// round looks once at the Job, its pods and the store, in this order: a pod that is over has stored its try before. It returns true
// once the Job has ended and what its pods played is in the run. What may pass is no error until it has lasted too long.
func (s *session) round(ctx context.Context) (bool, error) {
	job, err := s.look(ctx)
	if err == nil {
		err = s.dropLost(ctx, s.current)
	}
	switch {
	case apierrors.IsNotFound(err):
		return false, errs.Newf(errs.Infra, "the job in namespace %s is gone: somebody has deleted it", s.namespace)
	case apierrors.IsForbidden(err):
		return false, err
	case err != nil:
		// Meanwhile nobody knows whether a worker runs, nor how the store is, which may be behind the same server.
		s.storeDown, s.idle = time.Time{}, time.Time{}
		return false, s.patient(&s.apiDown, patience, err)
	}
	s.apiDown = time.Time{}
	if err := s.gather(ctx); err != nil {
		return false, s.storeFailed(ctx, err)
	}
	s.storeDown = time.Time{}
	s.settle()
	if end := endOf(job); end != nil {
		return true, s.conclude(ctx, job, end)
	}
	return false, s.stuck(ctx)
}

// patient returns err once trouble that began at *since has lasted longer than limit, and nil until then.
func (s *session) patient(since *time.Time, limit time.Duration, err error) error {
	now := s.Clock.Now()
	if since.IsZero() {
		*since = now
		s.Log.Warn("the cluster is in trouble", "patience", limit, "error", err)
	}
	if now.Sub(*since) < limit {
		return nil
	}
	return fmt.Errorf("for %s: %w", limit, err)
}

// storeFailed decides what a failure of gather means: nothing while patience lasts, then another depot, or the end.
func (s *session) storeFailed(ctx context.Context, err error) error {
	var remote *storeError
	if !errors.As(err, &remote) {
		return err
	}
	if blob.Final(err) {
		return errs.With(errs.Infra, fmt.Errorf("gather tries: %w", err))
	}
	late := s.patient(&s.storeDown, storePatience, err)
	if late == nil {
		return nil
	}
	if s.generation == 0 || s.generation >= maxDepots {
		return errs.Hint(errs.With(errs.Infra, fmt.Errorf("gather tries: %w", late)), "see that the storage of the run is well, and resume the run")
	}
	if err := s.replaceDepot(ctx); err != nil {
		return err
	}
	s.storeDown = time.Time{}
	return nil
}

// endOf is the condition by which a Job has ended; nil while it goes on.
func endOf(job *batchv1.Job) *batchv1.JobCondition {
	for i, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}

// conclude gives the trials that the Job has given up their records.
func (s *session) conclude(ctx context.Context, job *batchv1.Job, end *batchv1.JobCondition) error {
	if end.Type == batchv1.JobFailed && end.Reason == batchv1.JobReasonPodFailurePolicy {
		err := errs.Newf(errs.Usage, "play trials on %s: the image %s cannot play them: %s", s.Cluster.Context, s.image, s.unfit)
		return errs.Hint(err, "use the executables that the run was started with, for this process and for the image")
	}
	failed, err := parseIndexes(ptr.Deref(job.Status.FailedIndexes, ""))
	if err != nil {
		return err
	}
	for _, index := range failed {
		if index >= len(s.plan.Tasks) || s.board.final(s.plan.Tasks[index].Key) {
			continue
		}
		why, began, log := "its pods died more often than they may", time.Time{}, []byte(nil)
		if p := s.last(index); p != nil {
			why, began, log = why+"; the last time "+p.why, p.began, s.logOf(ctx, p.name)
		}
		if err := s.board.lose(s.plan.Tasks[index], began, why, log); err != nil {
			return err
		}
	}
	if end.Type == batchv1.JobFailed && len(failed) == 0 {
		return errs.Newf(errs.Infra, "play trials on %s: the job has failed: %s: %s", s.Cluster.Context, end.Reason, end.Message)
	}
	return nil
}

// stuck returns an error once no worker has run for longer than it may take until one does, or where none ever will.
func (s *session) stuck(ctx context.Context) error {
	if running(s.current) {
		s.idle = time.Time{}
		return nil
	}
	now := s.Clock.Now()
	if s.idle.IsZero() {
		s.idle = now
	}
	waits := s.waiting(ctx)
	if !waits.hopeless && now.Sub(s.idle) < startPatience {
		return nil
	}
	return errs.Hint(errs.Newf(errs.Infra, "wait for a worker: %s", waits), "%s", waits.hint(s.Cluster.Context))
}
