package scaleout_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/results"
)

// forbid has the API server refuse calls, as VERB and RESOURCE, until it is told otherwise.
func (r *rig) forbid(calls ...[2]string) *atomic.Bool {
	forbidden := &atomic.Bool{}
	forbidden.Store(true)
	for _, call := range calls {
		r.client.PrependReactor(call[0], call[1], func(clienttesting.Action) (bool, runtime.Object, error) {
			return forbidden.Load(), nil, apierrors.NewForbidden(schema.GroupResource{Resource: call[1]}, "x", errors.New("not now"))
		})
	}
	return forbidden
}

// abandon plays w until its second trial, b, is under way, and leaves the cluster as a process does that is killed then. goOn has that
// trial end.
func (r *rig) abandon(t *testing.T, w orchestrator.Work) (goOn func()) {
	t.Helper()
	forbidden := r.forbid([2]string{"delete", "jobs"}, [2]string{"delete", "namespaces"})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	more := make(chan struct{})
	var tries atomic.Int32
	r.play = func(own context.Context, key results.Key) results.Status {
		if key.Problem != "b" || tries.Add(1) > 1 {
			return results.Graded
		}
		cancel(errs.Newf(errs.Interrupted, "killed"))
		select {
		case <-more:
			return results.Graded
		case <-own.Done():
			return results.Cancelled
		}
	}
	e := r.executor()
	e.Workers = 1
	require.Equal(t, errs.Interrupted, errs.PartyOf(e.Play(ctx, w)))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Len(t, r.namespaces(t), 1)
	forbidden.Store(false)
	return func() { close(more) }
}

func TestSessionOfWhichNothingIsKnownStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var failures atomic.Int32
	r.client.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return failures.Add(-1) >= 0, nil, apierrors.NewServiceUnavailable("the leader is gone")
	})
	w := r.begin(t, "a", "b")
	goOn := r.abandon(t, w)
	w.Trials = w.Trials[1:]

	failures.Store(1 << 20)
	err := r.executor().Play(t.Context(), w)
	require.ErrorContains(t, err, "take over namespace gameday-")
	require.ErrorContains(t, err, "the leader is gone")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "kubectl --context staging delete namespace gameday-")
	require.Len(t, r.namespaces(t), 1)

	failures.Store(3)
	goOn()
	require.NoError(t, r.executor().Play(t.Context(), w), "what passes is waited for")
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Len(t, r.jobs, 1, "the Job that went on was followed")
	require.Empty(t, r.namespaces(t))
}

func TestSessionWithoutAJobIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	forbidden := r.forbid([2]string{"create", "services"}, [2]string{"delete", "namespaces"})
	w := r.begin(t, "a")
	err := r.executor().Play(t.Context(), w)
	require.ErrorContains(t, err, "create service")
	require.ErrorContains(t, err, "kubectl --context staging delete namespace gameday-")
	require.Len(t, r.namespaces(t), 1)

	forbidden.Store(false)
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.True(t, r.noted("cannot be taken over: its process was ended before it had a job"))
	require.Empty(t, r.namespaces(t))
}

// TestPlanThatCannotBeRead: the workers are stopped, and what they have stored is left for somebody to look at.
func TestPlanThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.begin(t, "a", "b")
	goOn := r.abandon(t, w)
	defer goOn()
	w.Trials = w.Trials[1:]
	namespace := r.namespaces(t)[0]
	plan := `{"schemaVersion":99}`
	file := filepath.Join(r.dir, namespace+"-1", "objects", "plan.json")
	require.NoError(t, os.WriteFile(file, []byte(blob.Digest([]byte(plan))+"\n"+plan), 0o600))

	err := r.executor().Play(t.Context(), w)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.ErrorContains(t, err, "namespace "+namespace+" is left: its plan cannot be read")
	require.True(t, r.noted("read plan: it is of version 99, want 1"))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Equal(t, []string{namespace}, r.namespaces(t))
	jobs, err := r.client.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, jobs.Items)
}

func TestWhatIsNotGatheredIsNotRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var unreadable atomic.Bool
	unreadable.Store(true)
	r.between = func(w http.ResponseWriter, req *http.Request) bool {
		if !readsTry(req, "tries/") || !unreadable.Load() {
			return false
		}
		http.Error(w, "error trying to reach service", http.StatusServiceUnavailable)
		return true
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var tries atomic.Int32
	r.play = func(own context.Context, key results.Key) results.Status {
		if key.Problem == "a" || tries.Add(1) > 1 {
			return results.Graded
		}
		cancel(errs.Newf(errs.Interrupted, "stopped"))
		<-own.Done()
		return results.Cancelled
	}
	w := r.begin(t, "a", "b")
	e := r.executor()
	e.Workers = 1
	err := e.Play(ctx, w)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	require.ErrorContains(t, err, "to gather it, run: gameday resume 20260102T030405Z-x-1a2b3c")
	require.Empty(t, recorded(t, w))
	require.Len(t, r.namespaces(t), 1)

	unreadable.Store(false)
	require.NoError(t, e.Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 cancelled", "b.r1 graded"}, recorded(t, w))
	require.Len(t, r.jobs, 2, "what was gathered is not played again")
	require.Empty(t, r.namespaces(t))
}

// TestWhatIsLeftKeepsNoTrialFromBeingPlayed: the tries of the first Job are lost with their depot, and its namespace cannot be removed.
func TestWhatIsLeftKeepsNoTrialFromBeingPlayed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.unreadable("tries/")
	r.forbid([2]string{"delete", "namespaces"})
	w := r.begin(t, "a", "b")
	err := r.executor().Play(t.Context(), w)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.ErrorContains(t, err, "kubectl --context staging delete namespace gameday-")
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Len(t, r.jobs, 2)
	require.Len(t, r.namespaces(t), 2)
}

func TestVolumesThatAreKeptAreNoFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.PrependReactor("list", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		kept := corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-1"}, Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: r.jobs[0].Namespace, Name: "depot-1"},
		}}
		return true, &corev1.PersistentVolumeList{Items: []corev1.PersistentVolume{kept}}, nil
	})
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.True(t, r.noted("kubectl --context staging delete persistentvolume pv-1"))
}

// TestVolumesThatCannotBeListedOnceAreNotGone: who asks in vain does not know.
func TestVolumesThatCannotBeListedOnceAreNotGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var asked atomic.Int32
	r.client.PrependReactor("list", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		switch asked.Add(1) {
		case 1:
			r.mu.Lock()
			defer r.mu.Unlock()
			going := corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-1"}, Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				ClaimRef:                      &corev1.ObjectReference{Namespace: r.jobs[0].Namespace, Name: "depot-1"},
			}}
			return true, &corev1.PersistentVolumeList{Items: []corev1.PersistentVolume{going}}, nil
		case 2:
			return true, nil, errors.New("etcdserver: request timed out")
		default:
			return true, &corev1.PersistentVolumeList{}, nil
		}
	})
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, int32(3), asked.Load())
}
