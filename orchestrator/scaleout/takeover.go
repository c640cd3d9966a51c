package scaleout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// left finds the sessions that earlier processes of the run have left on the cluster, and opens them. One that has nothing which could
// be gathered is still to be removed. One of which that is not known stays as it is, and is an error: it may have the only copy of
// tries.
func (e *Executor) left(ctx context.Context, b *board) ([]*session, error) {
	run := b.work.Store.Run().ID
	namespaces, err := e.Cluster.Client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("%s=%s,%s=%s", managedByLabel, managedBy, runLabel, runHash(run)),
	})
	if err != nil {
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("look for what the run has left on %s: %w", e.Cluster.Context, err)),
			"see that %s can be reached, and that this user may list namespaces", e.Cluster.Server)
	}
	var out []*session
	for _, ns := range namespaces.Items {
		id := ns.Annotations[sessionAnnotation]
		if ns.Annotations[runAnnotation] != run || ns.Name != namespacePrefix+id || ns.DeletionTimestamp != nil {
			continue
		}
		s := e.newSession(b, id, ns.Annotations[imageAnnotation])
		err := s.open(ctx)
		var hollow *hollowError
		switch {
		case err == nil:
			b.note("taking over namespace %s, which an earlier process of this run has left", s.namespace)
		case errors.As(err, &hollow):
			b.note("namespace %s, which an earlier process of this run has left, cannot be taken over: %v", s.namespace, err)
		default:
			return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("take over namespace %s, which an earlier process of this run has left: %w", s.namespace, err)),
				"see that the cluster and the storage of the run are well, and resume the run; or give up what is there: kubectl --context %s delete namespace %s",
				e.Cluster.Context, s.namespace)
		}
		out = append(out, s)
	}
	return out, nil
}

// hollowError says why a session has nothing that could be gathered.
type hollowError struct{ err error }

func (e *hollowError) Error() string { return e.err.Error() }
func (e *hollowError) Unwrap() error { return e.err }

// open finds out what there is of a session that another process has begun. The error is a hollowError where nothing can be gathered
// from it, whoever tries; after any other it is not known.
func (s *session) open(ctx context.Context) error {
	_, err := read(ctx, s.Executor, s.Cluster.Client.BatchV1().Jobs(s.namespace).Get, jobName)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get job: %w", err)
	}
	s.follows = err == nil
	own := s.Storage.of(s.board.work.Store.Run().ID, s.id)
	if own != nil {
		if s.store, err = openBucket(*own); err != nil {
			return err
		}
	}
	if !s.follows {
		// Its process was ended while it began, or while it cleaned up. This Secret is the last thing before the Job.
		_, err := read(ctx, s.Executor, s.Cluster.Client.CoreV1().Secrets(s.namespace).Get, agentsSecret)
		if apierrors.IsNotFound(err) {
			return &hollowError{errors.New("its process was ended before it had a job")}
		}
		if err != nil {
			return fmt.Errorf("get secret: %w", err)
		}
	}
	if own == nil {
		if err := s.findDepot(ctx); err != nil {
			return err
		}
	}
	return s.readPlan(ctx)
}

// readPlan reads the plan from the store. A depot may have to start again first.
func (s *session) readPlan(ctx context.Context) error {
	var data []byte
	err := blob.Patiently(ctx, s.Clock, patience, func(ctx context.Context) error {
		var err error
		data, err = s.fetch(ctx, planKey)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &hollowError{fmt.Errorf("read plan: %w", err)} // The depot that had it is lost, and this one was never filled.
	case err != nil && !errors.Is(err, blob.ErrCorrupt):
		return fmt.Errorf("read plan: %w", err)
	}
	if err == nil {
		err = json.Unmarshal(data, &s.plan)
	}
	if err == nil && s.plan.SchemaVersion != planVersion {
		err = fmt.Errorf("it is of version %d, want %d", s.plan.SchemaVersion, planVersion)
	}
	if err != nil {
		s.unread = true
		return &hollowError{fmt.Errorf("read plan: %w", err)}
	}
	s.readable = true
	return nil
}

// findDepot opens the depot that the session has.
func (s *session) findDepot(ctx context.Context) error {
	service, err := read(ctx, s.Executor, s.Cluster.Client.CoreV1().Services(s.namespace).Get, depotService)
	if err != nil {
		return depotError(err)
	}
	if s.generation, err = strconv.Atoi(cmp.Or(service.Spec.Selector[generationLabel], "1")); err != nil {
		return fmt.Errorf("find depot: %w", err)
	}
	held, err := read(ctx, s.Executor, s.Cluster.Client.CoreV1().Secrets(s.namespace).Get, depotSecret)
	if err != nil {
		return depotError(err)
	}
	s.token = string(held.Data[depot.TokenFile])
	return s.openDepot()
}

// depotError says that the depot was not found. Without its Service or its Secret nobody reaches it.
func depotError(err error) error {
	if apierrors.IsNotFound(err) {
		return &hollowError{fmt.Errorf("find depot: %w", err)}
	}
	return fmt.Errorf("find depot: %w", err)
}
