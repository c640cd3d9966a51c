package scaleout_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
)

// TestAnswersMayBeLost: the API server makes everything at once, and its first answer about each never arrives.
func TestAnswersMayBeLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	asked := map[string]bool{}
	create := func(action clienttesting.Action) (bool, runtime.Object, error) {
		made, ok := action.(clienttesting.CreateActionImpl)
		if !ok {
			return false, nil, nil
		}
		object, err := meta.Accessor(made.GetObject())
		if err != nil {
			return true, nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		what := made.GetResource().Resource + "/" + object.GetName()
		if asked[what] {
			return false, nil, nil
		}
		asked[what] = true
		if err := r.client.Tracker().Create(made.GetResource(), made.GetObject(), made.GetNamespace()); err != nil {
			return true, nil, err
		}
		return true, nil, apierrors.NewServiceUnavailable("the leader is gone")
	}
	for _, resource := range []string{"namespaces", "secrets", "services", "persistentvolumeclaims", "deployments", "jobs"} {
		r.client.PrependReactor("create", resource, create)
	}
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Len(t, asked, 8, "one of each, and three secrets")
	require.Len(t, r.jobs, 1)
	require.Empty(t, r.namespaces(t))
}

// TestCredentialsMayBeRenewed: plugins of a kubeconfig get new ones when the old ones were refused.
func TestCredentialsMayBeRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	calls := map[string]int{}
	expired := func(what string) bool {
		mu.Lock()
		defer mu.Unlock()
		calls[what]++
		return calls[what] <= 2
	}
	refuse := func(action clienttesting.Action) (bool, runtime.Object, error) {
		return expired(action.GetVerb() + " " + action.GetResource().Resource), nil, apierrors.NewUnauthorized("the token has expired")
	}
	for _, call := range [][2]string{{"create", "namespaces"}, {"get", "jobs"}, {"delete", "jobs"}, {"delete", "namespaces"}} {
		r.client.PrependReactor(call[0], call[1], refuse)
	}
	r.between = func(w http.ResponseWriter, req *http.Request) bool {
		if !readsTry(req, "tries/") || !expired("get try") {
			return false
		}
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return true
	}
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Empty(t, r.namespaces(t))
}

// TestDepotIsNotBlamedForTheServer: the depot is behind the API server, and had no time to be well while that was away.
func TestDepotIsNotBlamedForTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	var began time.Time
	during := func(from, to time.Duration) bool {
		mu.Lock()
		defer mu.Unlock()
		now := r.clock.Now()
		return !began.IsZero() && !now.Before(began.Add(from)) && now.Before(began.Add(to))
	}
	r.play = func(own context.Context, _ results.Key) results.Status {
		mu.Lock()
		began = r.clock.Now()
		mu.Unlock()
		select {
		case <-r.clock.After(6 * time.Minute):
			return results.Graded
		case <-own.Done():
			return results.Cancelled
		}
	}
	r.between = func(w http.ResponseWriter, _ *http.Request) bool {
		if !during(0, 2*time.Minute) && !during(4*time.Minute, 5*time.Minute) {
			return false
		}
		http.Error(w, "error trying to reach service", http.StatusServiceUnavailable)
		return true
	}
	r.client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return during(2*time.Minute, 4*time.Minute), nil, errors.New("connection refused")
	})
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.False(t, r.noted("making another one"))
}

func TestTryThatCannotBeReadKeepsNoOtherOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.unreadable("tries/0/")
	var mu sync.Mutex
	played := map[string]int{}
	r.play = func(_ context.Context, key results.Key) results.Status {
		mu.Lock()
		defer mu.Unlock()
		played[key.Problem]++
		return results.Graded
	}
	w := r.begin(t, "a", "b")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Equal(t, map[string]int{"a": 2, "b": 1}, played, "what was read before the depot was given up is not played again")
}

func TestDamageOnTheWayIsReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var spoiled atomic.Bool
	r.between = func(w http.ResponseWriter, req *http.Request) bool {
		if !readsTry(req, "tries/") || spoiled.Swap(true) {
			return false
		}
		w.Header().Set("Gameday-Depot", "1")
		w.Header().Set("Gameday-Digest", "sha256:00")
		_, _ = w.Write([]byte("half"))
		return true
	}
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Len(t, r.jobs, 1)
	require.False(t, r.noted("damaged"))
}

func TestDepotThatStaysAfterItsSuccessorIsNoFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.unreadable("tries/")
	r.client.PrependReactor("delete", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "depot-1", errors.New("not now"))
	})
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.True(t, r.noted("depot-1, which is not used any more, goes with its namespace only"))
	require.Len(t, r.told(orchestrator.TrialFinished), 1)
	require.Empty(t, r.namespaces(t))
}
