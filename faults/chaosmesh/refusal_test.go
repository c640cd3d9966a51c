package chaosmesh_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gameday-bench/gameday/faults/faultstest"
	"github.com/gameday-bench/gameday/internal/errs"
)

// refuse has Chaos Mesh report what the kernel said, for whatever is asked of it, until the function that it returns is called.
func (r *rig) refuse(words string) (relent func()) {
	var over atomic.Bool
	r.dyn.PrependReactor("list", "networkchaos", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if over.Load() {
			return false, nil, nil
		}
		selector := action.(clienttesting.ListAction).GetListRestrictions().Labels.String()
		label, value, _ := strings.Cut(selector, "=")
		event := map[string]any{"type": "Failed", "operation": "Apply", "message": words}
		return true, &unstructured.UnstructuredList{
			Object: map[string]any{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaosList"},
			Items: []unstructured.Unstructured{{Object: map[string]any{
				"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
				"metadata": map[string]any{"name": "n-1", "namespace": "chaos-mesh", "labels": map[string]any{label: value}},
				"status": map[string]any{"experiment": map[string]any{"containerRecords": []any{map[string]any{
					"id": "hotel/geo-a", "selectorKey": ".", "phase": "Not Injected", "injectedCount": int64(0), "recoveredCount": int64(0),
					"events": []any{event},
				}}}},
			}}},
		}, nil
	})
	return func() { over.Store(true) }
}

// TestTheKernelsOwnWords: an injection that the kernel of a node refuses says so, and what can be done.
func TestTheKernelsOwnWords(t *testing.T) {
	t.Parallel()
	for words, hinted := range map[string]bool{
		"unable to flush ip sets: Error: Specified qdisc kind is unknown.": true,
		"unable to flush ip sets: the daemon does not answer":              false,
	} {
		r := newRig(t)
		relent := r.refuse(words)
		r.addPod(t, pod("geo", "geo-a", "node-1"))
		f := faultstest.New(t, "node-slow-network", slow)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := f.Inject(ctx, r.env)
		cancel()
		require.ErrorContains(t, err, "(missing: geo-a; Chaos Mesh says: "+words+")")
		require.Equal(t, hinted, strings.Contains(errs.HintOf(err), "lacks a packet scheduler"), words)
		relent()
		require.NoError(t, f.Recover(t.Context(), r.env))
	}
}
