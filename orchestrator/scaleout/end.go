package scaleout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bucket"
)

// end stops the Job, gathers what is in the store, and removes the namespace with all that is in it, unless that has the only copy of
// what could not be gathered. It has deadlines of its own: the end of ctx does not keep it from its work. The error, of party infra,
// says what it could not remove or gather.
func (s *session) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	s.ending = true
	var left []error
	if s.follows {
		left = append(left, s.halt(ctx))
	}
	complete := !s.unread
	if s.readable && s.store != nil {
		err := s.gatherLast(ctx)
		complete = err == nil
		left = append(left, err)
	}
	if complete || s.generation == 0 {
		left = append(left, s.clear(ctx, complete), s.remove(ctx))
	} else {
		left = append(left, s.keep())
	}
	return errs.With(errs.Infra, errors.Join(left...))
}

// keep says that the namespace stays, and what is to be done about it: the volume of its depot has what is nowhere else.
func (s *session) keep() error {
	giveUp := fmt.Sprintf("kubectl --context %s delete namespace %s", s.Cluster.Context, s.namespace)
	if s.unread {
		return fmt.Errorf("namespace %s is left: its plan cannot be read, so that nobody knows what its depot holds; to give that up, run: %s", s.namespace, giveUp)
	}
	return fmt.Errorf("namespace %s is left: its depot holds what was not gathered; to gather it, run: gameday resume %s; to give it up, run: %s",
		s.namespace, s.board.work.Store.Run().ID, giveUp)
}

// until calls look at each tick until it names nothing that is waited for, for limit at most. Errors may pass, but for a lack of
// rights; the last one is returned.
func (s *session) until(ctx context.Context, limit time.Duration, look func(context.Context) (waitsFor string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := s.Clock.NewTicker(poll)
	defer tick.Stop()
	last := ""
	for {
		waitsFor, err := look(ctx)
		if err == nil && waitsFor == "" {
			return nil
		}
		if err != nil && ctx.Err() != nil && last != "" {
			waitsFor, err = last, nil // A look that the limit cut short says less than the one before.
		}
		last = waitsFor
		if apierrors.IsForbidden(err) {
			return err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%s after %s", waitsFor, limit)
			}
			return err
		case <-tick.C():
		}
	}
}

// halt deletes the Job and waits for the end of its pods, which cancel their trials and store what they have.
func (s *session) halt(ctx context.Context) error {
	told := false
	err := s.until(ctx, stopTimeout, func(ctx context.Context) (string, error) {
		err := s.Cluster.Client.BatchV1().Jobs(s.namespace).Delete(ctx, jobName, metav1.DeleteOptions{
			PropagationPolicy: ptr.To(metav1.DeletePropagationBackground),
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("delete job: %w", err)
		}
		pods, err := s.workers(ctx)
		if err != nil {
			return "", err
		}
		if err := s.dropLost(ctx, pods); err != nil {
			return "", err
		}
		var names []string
		for i := range pods {
			if !terminal(&pods[i]) {
				names = append(names, pods[i].Name)
			}
		}
		if len(names) == 0 {
			return "", nil
		}
		if !told {
			told = true
			s.board.note("stopping %d workers: each cleans up and stores what it has, in %s at most", len(names), workerGrace)
		}
		return "pods are still there: " + strings.Join(names, ", "), nil
	})
	if err != nil {
		return fmt.Errorf("stop workers: %w", err)
	}
	return nil
}

// gatherLast takes what the pods have stored since the last look.
func (s *session) gatherLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	var local error
	err := blob.Patiently(ctx, s.Clock, gatherTimeout, func(ctx context.Context) error {
		local = nil
		err := s.gather(ctx)
		var remote *storeError
		if err != nil && !errors.As(err, &remote) {
			local = err // To try again helps nothing.
			return nil
		}
		return err
	})
	if err := errors.Join(err, local); err != nil {
		return fmt.Errorf("gather tries that are in the store: %w", err)
	}
	return nil
}

// clear removes the session's objects from a bucket; a volume goes with its namespace. What could not be gathered stays.
func (s *session) clear(ctx context.Context, complete bool) error {
	own := s.Storage.of(s.board.work.Store.Run().ID, s.id)
	if own == nil || s.store == nil {
		return nil
	}
	where := fmt.Sprintf("s3://%s/%s", own.Bucket, own.Prefix)
	if !complete {
		return fmt.Errorf("%s is left as it is: what it holds was not gathered, and its trials are played again", where)
	}
	b, err := bucket.Open(*own)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	err = blob.Patiently(ctx, s.Clock, gatherTimeout, func(ctx context.Context) error {
		keys, err := b.List(ctx, "")
		if err != nil {
			return err
		}
		var all []error
		for _, key := range keys {
			all = append(all, b.Delete(ctx, key))
		}
		return errors.Join(all...)
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", where, err)
	}
	return nil
}

// remove removes the namespace and waits until it is gone, and the volumes of its depots with it.
func (s *session) remove(ctx context.Context) error {
	client := s.Cluster.Client.CoreV1()
	err := s.until(ctx, removeTimeout, func(ctx context.Context) (string, error) {
		there, err := client.Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("get namespace: %w", err)
		}
		if there.Annotations[runAnnotation] != s.board.work.Store.Run().ID {
			return "", nil // It is somebody else's, who had the name first.
		}
		if there.DeletionTimestamp == nil {
			err := client.Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &there.UID}})
			if err != nil && !apierrors.IsNotFound(err) {
				return "", fmt.Errorf("delete namespace: %w", err)
			}
		}
		pods, err := client.Pods(s.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("list pods: %w", err)
		}
		return "it is still there", s.dropLost(ctx, pods.Items)
	})
	if err != nil {
		return fmt.Errorf("remove namespace %s: %w; when the cluster is well, run: kubectl --context %s delete namespace %s",
			s.namespace, err, s.Cluster.Context, s.namespace)
	}
	return s.awaitVolumes(ctx)
}

// awaitVolumes waits until the volumes of the session's depots are gone. One that is on a node's own disk stays while that node is away,
// and one that its storage class keeps stays for good, which is what the class is for. Who may not list volumes learns of none.
func (s *session) awaitVolumes(ctx context.Context) error {
	if s.Storage.Bucket != nil {
		return nil
	}
	leaving, staying := "", ""
	err := s.until(ctx, removeTimeout, func(ctx context.Context) (string, error) {
		going, kept, err := s.volumes(ctx)
		if err != nil {
			return "", err
		}
		leaving, staying = going, kept
		if leaving != "" {
			return "they are still there", nil
		}
		return "", nil
	})
	switch {
	case apierrors.IsForbidden(err):
		s.Log.Info("volumes cannot be listed", "error", err)
	case err != nil && leaving == "":
		return fmt.Errorf("see whether volumes are left: %w; when the cluster is well, run: kubectl --context %s get persistentvolumes", err, s.Cluster.Context)
	case err != nil:
		return fmt.Errorf("wait for the end of volumes %s: %w; they go when their nodes are back, and where those never are, run: kubectl --context %s delete persistentvolume %s",
			leaving, err, s.Cluster.Context, leaving)
	case staying != "":
		s.board.note("the storage class keeps volumes; to remove them, run: kubectl --context %s delete persistentvolume %s", s.Cluster.Context, staying)
	}
	return nil
}

// volumes are the names of the volumes of the session's claims, with spaces between: of those that are still to go, and of those that their
// storage class keeps.
func (s *session) volumes(ctx context.Context) (leaving, staying string, err error) {
	all, err := s.Cluster.Client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", "", fmt.Errorf("list volumes: %w", err)
	}
	var going, kept []string
	for _, v := range all.Items {
		switch claim := v.Spec.ClaimRef; {
		case claim == nil || claim.Namespace != s.namespace:
		case v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain:
			kept = append(kept, v.Name)
		default:
			going = append(going, v.Name)
		}
	}
	return strings.Join(going, " "), strings.Join(kept, " "), nil
}
