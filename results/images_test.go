package results_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

func TestRecordImages(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store, err := results.Create(root, run())
	require.NoError(t, err)
	defer store.Close()
	before := store.Run()
	require.NoError(t, store.RecordImages(map[string]string{"a:1": "sha256:01", "b:1": "sha256:02"}))
	require.NoError(t, store.RecordImages(map[string]string{"b:1": "sha256:02", "c:1": "sha256:03"}), "what is known may be said again")
	require.Nil(t, before.Images, "a copy that was taken stays as it was")
	want := map[string]string{"a:1": "sha256:01", "b:1": "sha256:02", "c:1": "sha256:03"}

	err = store.RecordImages(map[string]string{"a:1": "sha256:07", "d:1": "sha256:04"})
	require.ErrorContains(t, err, "a:1 was sha256:01, is sha256:07")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "start a new run")

	require.NoError(t, store.RecordImages(nil))
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, want, data.Run.Images)
}
