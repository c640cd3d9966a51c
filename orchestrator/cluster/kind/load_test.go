package kind

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

func TestClusterOf(t *testing.T) {
	t.Parallel()
	for context, want := range map[string]string{"kind-kind": "kind", "kind-gameday-1a2b3c-demo": "gameday-1a2b3c-demo", "kind-": "", "staging": ""} {
		name, ok := ClusterOf(context)
		require.Equal(t, want != "", ok, context)
		require.Equal(t, want, name, context)
	}
}

func TestGiveNeedsTheClusterOnThisMachine(t *testing.T) {
	f := newDocker(t)
	f.container(t, "other", "other-worker", up)
	err := Give(t.Context(), "", "demo", &images.Set{})
	require.ErrorContains(t, err, "look for kind cluster demo: no container engine of this machine has it")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "--registry")
}
