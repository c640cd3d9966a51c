package kill

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator"
)

// TestPlace says where a run is, by what it tells.
func TestPlace(t *testing.T) {
	t.Parallel()
	r := &run{news: make(chan struct{}), done: make(chan struct{})}
	reached := make(chan bool)
	go func() { reached <- r.reach(t.Context(), 2, orchestrator.Deploy) }()
	place, _ := r.place()
	require.Equal(t, "before trial 1", place)
	for _, e := range []orchestrator.Event{
		{Type: orchestrator.TrialStarted}, {Type: orchestrator.PhaseStarted, Phase: orchestrator.Deploy},
		{Type: orchestrator.TrialFinished, Message: "graded"}, {Type: orchestrator.TrialStarted},
	} {
		r.take(e)
	}
	place, finished := r.place()
	require.Equal(t, "trial 2", place)
	require.Equal(t, 1, finished)
	select {
	case <-reached:
		t.Fatal("it is not there yet")
	default:
	}
	r.take(orchestrator.Event{Type: orchestrator.PhaseStarted, Phase: orchestrator.Deploy})
	require.True(t, <-reached)
	place, _ = r.place()
	require.Equal(t, "trial 2, deploy", place)
	close(r.done)
	require.False(t, r.reach(t.Context(), 3, orchestrator.Deploy), "the run ended before")
}

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
			r := a.round(t.Context(), "run-"+k.victim, k) // not a word of the victim's command line
			t.Log(r.Line())
			require.NoError(t, r.Err)
			if k.victim == parent {
				require.Equal(t, 1, r.Before, "the first trial had finished")
				require.Equal(t, 137, r.Code)
			}
		})
	}
}
