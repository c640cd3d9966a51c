package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// modest is a provider with one cluster at a time that can do only what it says, and keeps something.
type modest struct {
	has     []string
	why     string
	ups     int
	closed  int
	closing error
}

func (m *modest) Up(context.Context, cluster.Spec) (cluster.Cluster, error) {
	m.ups++
	return nil, errs.Newf(errs.Infra, "no more ports")
}

func (m *modest) Capabilities() []string { return m.has }
func (m *modest) WhyNot(string) string   { return m.why }
func (m *modest) MaxClusters() int       { return 1 }
func (m *modest) Describe() string       { return "context shared: cluster c at https://192.0.2.1" }

func (m *modest) Close(ctx context.Context) error {
	m.closed++
	return errors.Join(ctx.Err(), m.closing)
}

func TestWhatAClusterCannotDoIsSaidBeforeTheRun(t *testing.T) {
	t.Parallel()
	m := &modest{}
	r := runner(t, nil)
	r.Providers = map[string]cluster.Provider{"shared": m}
	c := config(t)
	c.Cluster, c.Problems = "shared", []string{"hotel-scaled-to-zero", "hotel-node-slow-network"}
	_, err := r.Run(t.Context(), c)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.ErrorContains(t, err, "problem hotel-node-slow-network cannot run on cluster provider shared: its fault node-slow-network requires node-scheduling (nodes may be cordoned")
	require.NotContains(t, err.Error(), "scaled-to-zero")
	m.why = "nodes are somebody else's"
	_, err = r.Run(t.Context(), c)
	require.ErrorContains(t, err, "; here nodes are somebody else's)")
	require.Contains(t, errs.HintOf(err), "leave the problem out")
	proofs, err := r.CheckProblem(t.Context(), "hotel-node-slow-network", 0, c)
	require.NoError(t, err)
	require.Len(t, proofs, 1)
	require.False(t, proofs[0].Passed)
	require.Contains(t, proofs[0].Detail, "requires node-scheduling")
	require.Zero(t, m.ups)
	entries, err := os.ReadDir(c.OutDir)
	require.NoError(t, err)
	require.Empty(t, entries)

	m.has = []string{faults.NodeScheduling, faults.Netem}
	c.InfraRetries = 0
	summary, err := r.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 2, m.ups)
	require.Equal(t, 2, summary.Statuses[results.InfraError])
}

// TestInfeasibleProblemsAreLeftOut: they are named with the reason, recorded, and in none of the figures.
func TestInfeasibleProblemsAreLeftOut(t *testing.T) {
	t.Parallel()
	m := &modest{has: []string{faults.NodeScheduling}, why: "the kernel has none"}
	r := runner(t, nil)
	r.Providers = map[string]cluster.Provider{"shared": m}
	var notes []string
	r.Observer = orchestrator.ObserverFunc(func(e orchestrator.Event) {
		if e.Type == orchestrator.Note {
			notes = append(notes, e.Message)
		}
	})
	c := config(t)
	c.Cluster, c.Problems, c.InfraRetries = "shared", []string{"hotel-scaled-to-zero", "hotel-node-slow-network"}, 0
	require.Len(t, r.Infeasible(c), 1)
	c.SkipInfeasible = true
	summary, err := r.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 1, m.ups)
	require.Equal(t, 1, summary.Planned)
	want := []results.LeftOut{{
		Problem: "hotel-node-slow-network",
		Reason:  "its fault node-slow-network requires netem (" + faults.Meaning(faults.Netem) + "; here the kernel has none)",
	}}
	require.Equal(t, want, summary.LeftOut)
	require.Contains(t, notes, "left out: problem hotel-node-slow-network: "+want[0].Reason)
	data, err := results.Load(summary.Dir)
	require.NoError(t, err)
	require.Equal(t, want, data.Run.LeftOut)
	require.Equal(t, []string{"hotel-scaled-to-zero"}, data.Run.Problems)
	require.NoError(t, r.CanResume(orchestrator.ResumeConfig{Dir: summary.Dir}), "what was left out is not missed")

	c.RunID, c.Problems = "none", []string{"hotel-node-slow-network"}
	_, err = r.Run(t.Context(), c)
	require.ErrorContains(t, err, "leave out what cluster provider shared cannot have: no problem is left\nproblem hotel-node-slow-network: its fault")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.NotEmpty(t, errs.HintOf(err))

	c.Problems = []string{"hotel-node-slow-network", "no-such-problem"}
	_, err = r.Run(t.Context(), c)
	require.ErrorContains(t, err, "no-such-problem", "a wrong name is an error all the same")
	require.Equal(t, 1, m.ups)

	m.has = append(m.has, faults.Netem)
	require.Empty(t, r.Infeasible(c))
}

func TestMoreTrialsThanClusters(t *testing.T) {
	t.Parallel()
	m := &modest{}
	r := runner(t, nil)
	r.Providers = map[string]cluster.Provider{"shared": m}
	c := config(t)
	c.Cluster, c.Concurrency = "shared", 3
	_, err := r.Run(t.Context(), c)
	require.ErrorContains(t, err, "run 3 trials at a time: cluster provider shared can have 1 at a time")
	require.Equal(t, "lower --concurrency to 1", errs.HintOf(err))
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Zero(t, m.ups)
}

func TestWhatAProviderKeptGoesWithTheRun(t *testing.T) {
	t.Parallel()
	m := &modest{}
	r := runner(t, nil)
	r.Providers = map[string]cluster.Provider{"shared": m}
	var notes []string
	r.Observer = orchestrator.ObserverFunc(func(e orchestrator.Event) {
		if e.Type == orchestrator.Note { // One trial at a time: nobody else writes.
			notes = append(notes, e.Message)
		}
	})
	c := config(t)
	c.Cluster = "shared"
	_, err := r.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 1, m.closed)
	require.Equal(t, []string{"using context shared: cluster c at https://192.0.2.1"}, notes, "whose cluster it is is said")

	c.RunID, m.closing = "again", errors.New("namespace monitoring is left")
	summary, err := r.Run(t.Context(), c)
	require.ErrorContains(t, err, "close cluster provider shared: namespace monitoring is left")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.NotNil(t, summary, "what was measured is there all the same")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errs.Newf(errs.Interrupted, "SIGINT"))
	c.RunID, m.closing = "stopped", nil
	_, err = r.Run(ctx, c)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	require.Equal(t, 3, m.closed, "an interruption removes it as well, under a context of its own")
}
