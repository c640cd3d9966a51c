package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	fine := []preflight.Check{preflight.Passed("memory", "%d GiB", 8), preflight.Noted("cgroups", "prefer version 2", "version 1")}
	require.NoError(t, preflight.Refuse("this machine", "", fine))
	err := preflight.Refuse("context staging", "--context staging", append(fine,
		preflight.Failed("nodes", "add one", "%d of %d are ready", 0, 2), preflight.Check{Name: "storage", Required: true, Detail: "none"}))
	require.EqualError(t, err, "context staging is not ready: nodes: 0 of 2 are ready; storage: none")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Equal(t, "nodes: add one; see all with: gameday doctor --context staging", errs.HintOf(err))
}
