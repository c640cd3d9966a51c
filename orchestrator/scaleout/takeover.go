package scaleout

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// left finds the sessions that earlier processes of the run have left on the cluster, and opens them. One that cannot be read any
// more is still to be removed.
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
		if err := s.open(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			b.note("namespace %s of an earlier process cannot be taken over, and is removed: %v", s.namespace, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// open finds out what there is of a session that another process has begun.
func (s *session) open(ctx context.Context) error {
	_, err := s.Cluster.Client.BatchV1().Jobs(s.namespace).Get(ctx, jobName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get job: %w", err)
	}
	there := err == nil
	if own := s.Storage.of(s.board.work.Store.Run().ID, s.id); own != nil {
		s.store, err = openBucket(*own)
	} else {
		err = s.findDepot(ctx)
	}
	if err != nil {
		return err
	}
	patience := storePatience
	if !there {
		patience = poll // Its process was ended while it began, or while it cleaned up: the plan is there, or nowhere.
	}
	var data []byte
	err = blob.Patiently(ctx, s.Clock, patience, func(ctx context.Context) error {
		var err error
		data, err = s.store.Get(ctx, planKey)
		return err
	})
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if err := json.Unmarshal(data, &s.plan); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if s.plan.SchemaVersion != planVersion {
		return fmt.Errorf("read plan: it is of version %d, want %d", s.plan.SchemaVersion, planVersion)
	}
	s.follows, s.readable = there, true
	return nil
}

// findDepot opens the depot that the session has.
func (s *session) findDepot(ctx context.Context) error {
	service, err := s.Cluster.Client.CoreV1().Services(s.namespace).Get(ctx, depotService, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("find depot: %w", err)
	}
	if s.generation, err = strconv.Atoi(cmp.Or(service.Spec.Selector[generationLabel], "1")); err != nil {
		return fmt.Errorf("find depot: %w", err)
	}
	held, err := s.Cluster.Client.CoreV1().Secrets(s.namespace).Get(ctx, depotSecret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("find depot: %w", err)
	}
	s.token = string(held.Data[depot.TokenFile])
	return s.openDepot()
}
