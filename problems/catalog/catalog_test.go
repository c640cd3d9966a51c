package catalog_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
)

// TestEveryProblemIsRight reads every problem and its truth, and makes its faults for many seeds.
func TestEveryProblemIsRight(t *testing.T) {
	t.Parallel()
	known, err := faults.LoadCatalog(faults.Embedded())
	require.NoError(t, err)
	all, err := problems.LoadCatalog(problems.Names{}, problems.Embedded())
	require.NoError(t, err)
	require.NotEmpty(t, all.IDs())
	canaries := map[string]string{}
	for _, entry := range all.All() {
		raw, err := truth.Load(truth.Names{Faults: known.IDs()}, entry)
		require.NoError(t, err)
		require.NotContains(t, canaries, raw.Canary, "every truth has a canary of its own")
		canaries[raw.Canary] = entry.ID
		require.Equal(t, problems.Tasks(), entry.Tasks)
		for seed := range int64(50) {
			t.Run(entry.ID+"/"+strconv.FormatInt(seed, 10), func(t *testing.T) {
				t.Parallel()
				draw := entry.Draw(seed)
				for name := range raw.Runtime {
					draw[name] = "node-2"
				}
				resolved, err := raw.Resolve(draw)
				require.NoError(t, err)
				for _, ref := range resolved.Faults {
					fault, err := known.Get(ref.ID)
					require.NoError(t, err)
					_, err = fault.New(ref.Params)
					require.NoError(t, err)
				}
			})
		}
	}
}
