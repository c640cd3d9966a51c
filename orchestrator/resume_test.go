package orchestrator_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// interrupted makes a run of three trials, the first of which is cancelled by a signal.
func interrupted(t *testing.T) (orchestrator.RunConfig, string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := runner(t, func(ctx context.Context) (cluster.Cluster, error) {
		cancel(errs.Newf(errs.Interrupted, "SIGINT"))
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r.Tool = results.Tool{Version: "v1", Commit: "abc", Kubernetes: "v1.35.4"}
	r.ScenarioDigest = "sha256:1"
	c := config(t)
	c.Attempts, c.InfraRetries, c.Seeds, c.Nodes, c.TimeoutMultiplier = 3, 1, []int64{4, 5}, 2, 3
	_, err := r.Run(ctx, c)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	return c, filepath.Join(c.OutDir, "r")
}

// again is the runner that continues: the same program, on a machine without ports.
func again(t *testing.T) (*orchestrator.Runner, *int) {
	t.Helper()
	ups := 0
	r := runner(t, func(context.Context) (cluster.Cluster, error) {
		ups++
		return nil, errs.Newf(errs.Infra, "no more ports")
	})
	r.Tool = results.Tool{Version: "v1", Commit: "abc", Kubernetes: "v1.35.4"}
	r.ScenarioDigest = "sha256:1"
	return r, &ups
}

func TestResumePlaysWhatIsNotFinal(t *testing.T) {
	t.Parallel()
	_, dir := interrupted(t)
	before, err := os.ReadFile(filepath.Join(dir, results.TrialsFile))
	require.NoError(t, err)
	// The process that continued the run was killed in turn, in the middle of a line and of a try.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "trials", "hotel-scaled-to-zero", "nop", "2"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, results.TrialsFile), append(before, `{"schemaVersion":1,"pro`...), 0o644))

	r, ups := again(t)
	summary, err := r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 6, *ups, "three trials, two tries each")
	require.Equal(t, results.RunFinished, summary.Status)
	require.Equal(t, 3, summary.Statuses[results.InfraError])
	data, err := results.Load(dir)
	require.NoError(t, err)
	require.Empty(t, data.Unfinished)
	require.Len(t, data.Run.ResumedAt, 1)
	require.Nil(t, data.Run.Error)
	var got []string
	for _, trial := range data.Trials {
		got = append(got, trial.Dir+" "+string(trial.Status))
	}
	require.Equal(t, []string{
		"trials/hotel-scaled-to-zero/nop/1 cancelled", "trials/hotel-scaled-to-zero/nop/1.r1 infra_error", "trials/hotel-scaled-to-zero/nop/1.r2 infra_error",
		"trials/hotel-scaled-to-zero/nop/2 cancelled", "trials/hotel-scaled-to-zero/nop/2.r1 infra_error", "trials/hotel-scaled-to-zero/nop/2.r2 infra_error",
		"trials/hotel-scaled-to-zero/nop/3 infra_error", "trials/hotel-scaled-to-zero/nop/3.r1 infra_error",
	}, got)
	require.Equal(t, []int64{4, 4, 4, 5, 5, 5, 4, 4}, seeds(data.Trials), "the plan is the run's own")

	_, err = r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 6, *ups, "nothing is left to do")
	_, err = r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: dir, Again: []results.Status{results.InfraError}})
	require.NoError(t, err)
	require.Equal(t, 12, *ups)
}

func seeds(trials []results.TrialRecord) []int64 {
	var out []int64
	for _, t := range trials {
		out = append(out, t.Seed)
	}
	return out
}

func TestResumeRefusesAnotherRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		runner func(r *orchestrator.Runner)
		stored func(run map[string]any)
		want   string
	}{
		"version":    {runner: func(r *orchestrator.Runner) { r.Tool.Commit = "def" }, want: "gameday was v1 abc, is v1 def"},
		"modified":   {runner: func(r *orchestrator.Runner) { r.Tool.Dirty = true }, want: "gameday was v1 abc, is v1 abc (modified)"},
		"kubernetes": {runner: func(r *orchestrator.Runner) { r.Tool.Kubernetes = "v1.36.0" }, want: "Kubernetes was v1.35.4, is v1.36.0"},
		"scenario":   {runner: func(r *orchestrator.Runner) { r.ScenarioDigest = "sha256:2" }, want: "scenario/t has changed"},
		"agent":      {runner: func(r *orchestrator.Runner) { r.AgentDigest = func(string) string { return "other" } }, want: "agent/nop has changed"},
		"problem": {stored: func(run map[string]any) {
			run["digests"].(map[string]any)["problem/hotel-scaled-to-zero"] = "sha256:0"
		}, want: "problem/hotel-scaled-to-zero has changed"},
		"app": {stored: func(run map[string]any) {
			run["digests"].(map[string]any)["app/hotel"] = "sha256:0"
		}, want: "it would not be the same run: app/hotel has changed"},
		"fault": {stored: func(run map[string]any) {
			run["digests"].(map[string]any)["fault/scaled-to-zero"] = "sha256:0"
		}, want: "it would not be the same run: fault/scaled-to-zero has changed"},
		"seeds":           {stored: func(run map[string]any) { run["seeds"] = []int64{9} }, want: "the seed of trial hotel-scaled-to-zero/nop/1 was 4, is 9"},
		"unknown agent":   {stored: func(run map[string]any) { run["agents"] = []string{"gone"} }, want: "gone"},
		"unknown problem": {stored: func(run map[string]any) { run["problems"] = []string{"gone"} }, want: "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, dir := interrupted(t)
			r, ups := again(t)
			if c.runner != nil {
				c.runner(r)
			}
			file := filepath.Join(dir, results.RunFile)
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			if c.stored != nil {
				var run map[string]any
				require.NoError(t, json.Unmarshal(data, &run))
				c.stored(run)
				data, err = json.Marshal(run)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, data, 0o644))
			}
			_, err = r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: dir})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
			require.NotEmpty(t, errs.HintOf(err))
			require.Zero(t, *ups, "nothing is started")
			after, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(data), string(after), "nothing is written")
		})
	}
}

func TestRunThatIsGoingIsNotResumed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := results.Create(root, results.Run{ID: "r"})
	require.NoError(t, err)
	defer s.Close()
	r, _ := again(t)
	_, err = r.Resume(t.Context(), orchestrator.ResumeConfig{Dir: s.Dir()})
	require.ErrorContains(t, err, "it is still going")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}
