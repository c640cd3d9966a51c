package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/results"
)

// provider is a cluster provider that does what the test says.
type provider func(ctx context.Context) (cluster.Cluster, error)

func (p provider) Up(ctx context.Context, _ cluster.Spec) (cluster.Cluster, error) { return p(ctx) }

func with(p provider) map[string]cluster.Provider { return map[string]cluster.Provider{"embedded": p} }

func TestInterruptedRunIsResumed(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 2)
	p := newProcess(t, "run", "hotel-scaled-to-zero", "--agent", "nop", "-k", "2", "--run-id", "mine", "--infra-retries", "0")
	p.Signals = signals
	p.Backend.Run = func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		r.Providers = with(func(ctx context.Context) (cluster.Cluster, error) {
			signals <- os.Interrupt
			<-ctx.Done()
			return nil, ctx.Err()
		})
		return r.Run(ctx, c)
	}
	require.Equal(t, 130, p.main(), p.err.String())
	require.Contains(t, p.err.String(), "hint: resume with: gameday resume mine\n")

	resume := func(want int, args ...string) *process {
		next := newProcess(t, append([]string{"resume", "mine", "--progress", "plain"}, args...)...)
		next.Cwd = p.Cwd
		next.Backend.Resume = func(ctx context.Context, r *orchestrator.Runner, c orchestrator.ResumeConfig) (*results.Summary, error) {
			r.Providers = with(func(context.Context) (cluster.Cluster, error) {
				return nil, errs.Hint(errs.Newf(errs.Infra, "no more ports"), "free some\nor wait")
			})
			return r.Resume(ctx, c)
		}
		require.Equal(t, want, next.main(), next.err.String())
		return next
	}
	next := resume(5)
	require.Contains(t, next.err.String(), "run of 2 trials in ")
	require.Contains(t, next.err.String(), "error: 2 of 2 trials have no grade: 2 infra_error")
	require.Equal(t, "AGENT\tSCORE\tDETECTION\tTWINS\tBALANCED\tLOCALIZATION\tDIAGNOSIS\tMITIGATION\tSCORED\n"+
		"nop\t-\t-\t-\t-\t-\t-\t-\t0/2\n2 x infra_error\n"+filepath.Join(p.Cwd, "results", "runs", "mine")+"\n", next.out.String(), "the table is that of run")
	require.NotContains(t, resume(5).err.String(), "run of", "nothing was left to do")
	require.Contains(t, resume(5, "--retry", "infra_error").err.String(), "run of 2 trials in ")
	trial := newProcess(t, "describe", "trial", "hotel-scaled-to-zero/nop/2", "--run", "mine")
	trial.Cwd = p.Cwd
	require.Zero(t, trial.main(), trial.err.String())
	require.Regexp(t, `(?m)^Hint:\s+free some\s+or wait$`, trial.out.String())
	require.Contains(t, resume(2, "--retry", "infra_eror").err.String(), `did you mean "infra_error"?`)
}

func TestInterruptedRunElsewhereIsNamedInFull(t *testing.T) {
	t.Parallel()
	pack, out := t.TempDir(), t.TempDir()
	signals := make(chan os.Signal, 2)
	p := newProcess(t, "run", "smoke", "--agent", "nop", "--out", out, "--catalog", pack)
	p.Signals = signals
	dir := filepath.Join(out, "x")
	p.Backend.Run = func(ctx context.Context, _ *orchestrator.Runner, _ orchestrator.RunConfig) (*results.Summary, error) {
		signals <- os.Interrupt
		<-ctx.Done()
		return &results.Summary{Dir: dir}, errs.Newf(errs.Interrupted, "run trials: context canceled")
	}
	require.Equal(t, 130, p.main())
	require.Contains(t, p.err.String(), "hint: resume with: gameday resume "+dir+" --catalog "+pack+"\n")
}

func TestResumeKnowsTheFlagsOfTheRun(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "hotel-scaled-to-zero", "--agent", "nop", "-k", "2", "--cluster", "kind", "--node-image", "mine:1", "--fresh", "--run-id", "mine")
	p.Backend.Run = func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		require.Equal(t, "kind", c.Cluster)
		r.Providers = map[string]cluster.Provider{"kind": provider(func(context.Context) (cluster.Cluster, error) { return nil, errs.Newf(errs.Infra, "no room") })}
		return r.Run(ctx, c)
	}
	require.Equal(t, 5, p.main(), p.err.String())
	next := newProcess(t, "resume", "mine", "--retry", "infra_error", "--node-image", "other:2")
	next.Cwd = p.Cwd
	next.Backend.Doctor = func(_ context.Context, o doctor.Options) []doctor.Check {
		require.Equal(t, "--cluster kind", o.Flags)
		return nil
	}
	next.Backend.Resume = func(_ context.Context, r *orchestrator.Runner, _ orchestrator.ResumeConfig) (*results.Summary, error) {
		made, ok := r.Providers["kind"].(*kind.Provider)
		require.True(t, ok, "--fresh is recalled: clusters are not used again")
		require.Equal(t, "other:2", made.NodeImage)
		return &results.Summary{}, nil
	}
	require.Zero(t, next.main(), next.err.String())
}
