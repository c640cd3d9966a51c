package orchestrator_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// executor lets a function be an Executor.
type executor func(ctx context.Context, w orchestrator.Work) error

func (e executor) Play(ctx context.Context, w orchestrator.Work) error { return e(ctx, w) }

func TestExecutorPlaysWhatHasNoFinalRecord(t *testing.T) {
	t.Parallel()
	r := runner(t, func(context.Context) (cluster.Cluster, error) {
		t.Error("a cluster was brought up in this process")
		return nil, errors.New("not here")
	})
	c := config(t)
	c.Attempts, c.Executor = 3, &results.Executor{Kind: "kubernetes", Context: "staging", Storage: "pvc"}
	_, err := r.Run(t.Context(), c)
	require.ErrorContains(t, err, "executor kubernetes, which is not set up")
	require.Equal(t, errs.Usage, errs.PartyOf(err))

	var asked [][]string
	play := func(record int) executor {
		return func(_ context.Context, w orchestrator.Work) error {
			var names []string
			for i, a := range w.Trials {
				names = append(names, a.String())
				if i >= record {
					continue
				}
				blank, err := w.Blank(a.Trial)
				require.NoError(t, err)
				require.Regexp(t, "^sha256:", blank.Digest)
				trial, err := w.Store.OpenTrial(a.Key)
				require.NoError(t, err)
				blank.Status = results.Graded
				require.NoError(t, trial.Finish(blank))
			}
			asked = append(asked, names)
			if record < len(w.Trials) {
				return errs.Newf(errs.Interrupted, "stopped")
			}
			return nil
		}
	}
	r.Executor = play(1)
	_, err = r.Run(t.Context(), c)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	data, err := results.Load(filepath.Join(c.OutDir, "r"))
	require.NoError(t, err)
	require.Equal(t, results.RunCancelled, data.Run.Status)
	require.Equal(t, c.Executor, data.Run.Executor)

	r.Executor = play(2)
	summary, err := r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: data.Dir})
	require.NoError(t, err)
	require.Equal(t, 3, summary.Scored)
	require.Equal(t, [][]string{
		{"hotel-scaled-to-zero/nop/1", "hotel-scaled-to-zero/nop/2", "hotel-scaled-to-zero/nop/3"},
		{"hotel-scaled-to-zero/nop/2", "hotel-scaled-to-zero/nop/3"},
	}, asked)
}

func TestPlayTry(t *testing.T) {
	t.Parallel()
	r := runner(t, func(context.Context) (cluster.Cluster, error) { return nil, errs.Newf(errs.Infra, "no more ports") })
	r.Tool = results.Tool{Version: "v1", Commit: "abc"}
	c := config(t)
	c.Problems = append(c.Problems, "hotel-wrong-target-port")
	r.Executor = executor(func(context.Context, orchestrator.Work) error { return nil })
	c.Executor = &results.Executor{Kind: "kubernetes"}
	_, err := r.Run(t.Context(), c)
	require.NoError(t, err)
	data, err := results.Load(filepath.Join(c.OutDir, "r"))
	require.NoError(t, err)

	worker := *r
	worker.Executor = nil
	changed, err := worker.Mismatch(data.Run)
	require.NoError(t, err)
	require.Empty(t, changed)
	key := results.Key{Problem: "hotel-wrong-target-port", Agent: "nop", Attempt: 1}
	record, dir, err := worker.PlayTry(t.Context(), data.Run, t.TempDir(), scenarios.Trial{Key: key, Seed: 0})
	require.NoError(t, err)
	require.Equal(t, results.InfraError, record.Status, "one try, however many are allowed")
	require.Equal(t, key, record.Key)
	require.FileExists(t, filepath.Join(dir, results.TrialFile))
	require.FileExists(t, filepath.Join(dir, results.EventsFile))

	worker.Tool.Commit = "def"
	changed, err = worker.Mismatch(data.Run)
	require.NoError(t, err)
	require.Equal(t, []string{"gameday was v1 abc, is v1 def"}, changed)
}
