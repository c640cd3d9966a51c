package seed_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/apps/hotel/seed"
)

func TestManifestIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := seed.ConfigMaps()
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("..", "manifests", seed.File))
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run go generate ./workloads/apps/hotel")
}
