package kindtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind/kindtest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

func TestOwners(t *testing.T) {
	file := filepath.Join(t.TempDir(), "owners")
	t.Setenv(kindtest.OwnersVariable, file)
	var tags []string
	for range 2 {
		dir := kindtest.RuntimeDir(t)
		require.DirExists(t, dir)
		t.Setenv("XDG_RUNTIME_DIR", dir)
		tags = append(tags, kind.OwnerTag(record.BaseDir()))
	}
	require.NotEqual(t, tags[0], tags[1])
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, tags, strings.Fields(string(data)), "the records of clusters are where package record has them")
	for _, tag := range tags {
		require.True(t, kindtest.Owns("gameday-"+tag+"-demo-control-plane"))
	}
	for _, name := range []string{"gameday-" + kind.OwnerTag("/elsewhere") + "-demo-worker", "gameday-" + tags[0], "kind-worker", ""} {
		require.False(t, kindtest.Owns(name), name)
	}
}
