package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/gameday-bench/gameday/agents/all"
	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/workloads"
)

// provider is a cluster provider that does what the test says.
type provider func(ctx context.Context) (cluster.Cluster, error)

func (p provider) Up(ctx context.Context, _ cluster.Spec) (cluster.Cluster, error) { return p(ctx) }

func runner(t *testing.T, p provider) *orchestrator.Runner {
	t.Helper()
	apps, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	catalog, err := problems.LoadCatalog(problems.Names{Apps: apps.IDs()}, problems.Embedded())
	require.NoError(t, err)
	known, err := faults.LoadCatalog(faults.Embedded())
	require.NoError(t, err)
	return &orchestrator.Runner{
		Problems: catalog, Faults: known, Apps: apps, Providers: map[string]cluster.Provider{"embedded": p},
	}
}

func config(t *testing.T) orchestrator.RunConfig {
	return orchestrator.RunConfig{
		Scenario: "t", Problems: []string{"hotel-scaled-to-zero"}, Agents: []string{"nop"}, OutDir: t.TempDir(), RunID: "r", InfraRetries: 2,
	}
}

func TestInfraErrorsAreRetriedAndKept(t *testing.T) {
	t.Parallel()
	r := runner(t, func(context.Context) (cluster.Cluster, error) { return nil, errs.Newf(errs.Infra, "no more ports") })
	var mu sync.Mutex
	retried := 0
	r.Observer = orchestrator.ObserverFunc(func(e orchestrator.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Type == orchestrator.TrialRetried {
			retried++
		}
	})
	c := config(t)
	summary, err := r.Run(t.Context(), c)
	require.NoError(t, err, "a trial without a grade is in the summary, it does not fail the run")
	require.Equal(t, 2, retried)
	require.Equal(t, 0, summary.Scored)
	data, err := results.Load(filepath.Join(c.OutDir, "r"))
	require.NoError(t, err)
	require.Len(t, data.Trials, 3, "every try is on record")
	for i, trial := range data.Trials {
		require.Equal(t, i, trial.Retry)
		require.Equal(t, results.InfraError, trial.Status)
		require.Contains(t, trial.Error.Message, "no more ports")
		require.Equal(t, "infra", trial.Error.Party)
		require.Equal(t, "provision", trial.Error.Phase)
	}
}

func TestInterruptionIsRecordedAndNotRetried(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := runner(t, func(ctx context.Context) (cluster.Cluster, error) {
		cancel(errs.Newf(errs.Interrupted, "SIGINT"))
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := config(t)
	c.Attempts = 3
	_, err := r.Run(ctx, c)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	data, err := results.Load(filepath.Join(c.OutDir, "r"))
	require.NoError(t, err)
	require.Len(t, data.Trials, 1)
	require.Equal(t, results.Cancelled, data.Trials[0].Status)
	require.Equal(t, results.RunCancelled, data.Run.Status)
}

func TestBadNamesStartNothing(t *testing.T) {
	t.Parallel()
	started := false
	r := runner(t, func(context.Context) (cluster.Cluster, error) { started = true; return nil, errors.New("started") })
	for name, change := range map[string]func(*orchestrator.RunConfig){
		"problem": func(c *orchestrator.RunConfig) { c.Problems = []string{"hotel-scaled-to-zer"} },
		"agent":   func(c *orchestrator.RunConfig) { c.Agents = []string{"oracel"} },
		"cluster": func(c *orchestrator.RunConfig) { c.Cluster = "moon" },
		"nothing": func(c *orchestrator.RunConfig) { c.Agents = nil },
	} {
		c := config(t)
		change(&c)
		_, err := r.Run(t.Context(), c)
		require.Equal(t, errs.Usage, errs.PartyOf(err), name)
		require.NotEmpty(t, errs.HintOf(err), name)
		entries, err := os.ReadDir(c.OutDir)
		require.NoError(t, err)
		require.Empty(t, entries, name)
	}
	require.False(t, started)
}

func TestRunRecordsWhatItsTrialsAreMadeFrom(t *testing.T) {
	t.Parallel()
	r := runner(t, func(context.Context) (cluster.Cluster, error) { return nil, errs.Newf(errs.Infra, "no more ports") })
	c := config(t)
	c.Problems = append(c.Problems, "hotel-wrong-target-port")
	_, err := r.Run(t.Context(), c)
	require.NoError(t, err)
	data, err := results.Load(filepath.Join(c.OutDir, "r"))
	require.NoError(t, err)
	want := map[string]string{"agent/nop": "nop"}
	for _, id := range c.Problems {
		problem, err := r.Problems.Get(id)
		require.NoError(t, err)
		want["problem/"+id] = problem.Digest
	}
	app, err := r.Apps.Get("hotel")
	require.NoError(t, err)
	want["app/hotel"] = app.Digest
	for _, id := range []string{"scaled-to-zero", "service-target-port"} {
		fault, err := r.Faults.Get(id)
		require.NoError(t, err)
		want["fault/"+id] = fault.Digest
	}
	require.Equal(t, want, data.Run.Digests)
	for name, digest := range want {
		require.True(t, name == "agent/nop" || strings.HasPrefix(digest, "sha256:"), "%s %s", name, digest)
	}
}
