// Package faultstest is what every fault must pass, against fakes and against a live cluster.
package faultstest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/faults"
)

// patience is how long a predicate may take to follow.
const patience = 60 * time.Second

// Env returns an environment for fakes or a cluster, with an empty State.
func Env(kube kubernetes.Interface, dyn dynamic.Interface, namespace, chaosNamespace string) faults.Env {
	return faults.Env{
		Kubernetes: kube, Dynamic: dyn, Namespace: namespace, ChaosNamespace: chaosNamespace,
		State: map[string]string{}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
	}
}

// New makes a fault of the embedded catalogue. Its type has to be registered.
func New(t testing.TB, id string, params map[string]string) faults.Fault {
	t.Helper()
	catalog, err := faults.LoadCatalog(faults.Embedded())
	require.NoError(t, err)
	entry, err := catalog.Get(id)
	require.NoError(t, err)
	f, err := entry.New(params)
	require.NoError(t, err)
	return f
}

// Run injects and recovers a fault twice. Each time: it is not live before; it is live after Inject, also after a second one;
// it is gone after Recover, also after a second one. Recover without Inject does nothing. fault makes a fresh value.
func Run(t *testing.T, fault func() faults.Fault, env faults.Env) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, fault().Recover(ctx, fresh(env)), "recover without inject")
	for range 2 {
		f, env := fault(), fresh(env)
		t.Cleanup(func() { require.NoError(t, f.Recover(context.WithoutCancel(ctx), env), "clean up") })
		Await(t, f, env, false)
		for range 2 {
			require.NoError(t, f.Inject(ctx, env), "inject")
			Await(t, f, env, true)
		}
		for range 2 {
			require.NoError(t, f.Recover(ctx, env), "recover")
			Await(t, f, env, false)
		}
	}
}

// Await waits until the fault's predicate says what is wanted.
func Await(t *testing.T, f faults.Fault, env faults.Env, live bool) {
	t.Helper()
	var last faults.State
	require.Eventually(t, func() bool {
		state, err := f.Probe(t.Context(), env)
		require.NoError(t, err, "probe")
		require.NotEmpty(t, state.Detail, "a predicate gives its evidence")
		last = state
		return state.Live == live
	}, patience, 20*time.Millisecond, "want live %t", live)
	require.Equal(t, live, last.Live, last.Detail)
}

func fresh(env faults.Env) faults.Env {
	env.State = map[string]string{}
	return env
}
