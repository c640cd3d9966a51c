package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator"
)

// TestEachVictimOnce kills each victim once in a run of two trials. make kill does it at random moments, several times.
func TestEachVictimOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("plays whole runs")
	}
	dir, err := os.MkdirTemp("", "gk-") //nolint:usetesting // The name of t.TempDir is too long for the sockets below it.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	a, err := newArena(dir, []string{"nop", "oracle"}, 1)
	require.NoError(t, err)
	for _, k := range []killing{
		{victim: parent, trial: 2, phase: orchestrator.Deploy},
		{victim: controlPlane, trial: 1, phase: orchestrator.Baseline},
		{victim: aNode, node: 2, trial: 1, phase: orchestrator.Deploy},
	} {
		t.Run(k.victim, func(t *testing.T) {
			r := a.round(t.Context(), k.victim, k)
			t.Log(r.line())
			require.NoError(t, r.err)
			if k.victim == parent {
				require.Equal(t, 1, r.before, "the first trial had finished")
				require.Equal(t, 137, r.code)
			}
		})
	}
}
