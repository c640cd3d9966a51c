package results_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

// played makes the directory of a finished try in a run of its own.
func played(t *testing.T, key results.Key, status results.Status) string {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	store, err := results.Create(t.TempDir(), results.Run{ID: "elsewhere"})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	trial, err := store.OpenTrial(key)
	require.NoError(t, err)
	require.NoError(t, trial.AppendEvent(map[string]string{"type": "trial_started"}))
	require.NoError(t, trial.Finish(results.TrialRecord{Status: status, Tasks: []string{"detection"}, StartedAt: at, FinishedAt: at}))
	require.NoError(t, results.MarkPlacement(trial.Dir(), results.Placement{Object: "tries/0/0", Pod: "p-0"}))
	return trial.Dir()
}

func TestImport(t *testing.T) {
	t.Parallel()
	key := results.Key{Problem: "p", Agent: "a", Attempt: 1}
	store, err := results.Create(t.TempDir(), results.Run{ID: "r"})
	require.NoError(t, err)
	// A try that this process was killed in has no file yet, and keeps its directory.
	require.NoError(t, os.MkdirAll(filepath.Join(store.Dir(), "trials", "p", "a", "1"), 0o755))
	for i, status := range []results.Status{results.InfraError, results.Graded} {
		dir := played(t, key, status)
		record, err := store.Import(key, dir)
		require.NoError(t, err)
		require.Equal(t, i+1, record.Retry)
		require.NoDirExists(t, dir)
	}
	require.NoError(t, store.Close())

	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, []string{"trials/p/a/1"}, data.Unfinished)
	require.Len(t, data.Trials, 2)
	require.Equal(t, "trials/p/a/1.r1", data.Trials[0].Dir)
	require.Equal(t, results.InfraError, data.Trials[0].Status)
	require.Equal(t, "trials/p/a/1.r2", data.Trials[1].Dir)
	require.Equal(t, results.Graded, data.Trials[1].Status)
	require.FileExists(t, filepath.Join(store.Dir(), "trials", "p", "a", "1.r2", results.EventsFile))
	placements, err := data.Placements()
	require.NoError(t, err)
	require.Len(t, placements, 2)
	require.Equal(t, "p-0", placements["trials/p/a/1.r1"].Pod)
}

func TestImportRefusesWhatIsNoTryOfTheTrial(t *testing.T) {
	t.Parallel()
	key := results.Key{Problem: "p", Agent: "a", Attempt: 1}
	store, err := results.Create(t.TempDir(), results.Run{ID: "r"})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	for name, tc := range map[string]struct {
		dir  string
		want string
	}{
		"nothing":       {t.TempDir(), "no such file"},
		"another trial": {played(t, results.Key{Problem: "p", Agent: "a", Attempt: 2}, results.Graded), "it is one of trial p/a/2"},
		"its twin":      {played(t, results.Key{Problem: "p", Agent: "a", Attempt: 1, Twin: true}, results.Graded), "it is one of trial p.twin/a/1"},
	} {
		_, err := store.Import(key, tc.dir)
		require.ErrorContains(t, err, tc.want, name)
		require.DirExists(t, tc.dir, name)
	}
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Empty(t, data.Trials)
}
