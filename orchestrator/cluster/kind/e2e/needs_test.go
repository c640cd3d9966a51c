package e2e

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types" // Registers the types of faults.
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/scenarios"
)

// suite is the scenario whose problems are played.
const suite = "smoke"

// suiteProblems are its problems.
func suiteProblems() ([]string, error) {
	all, err := scenarios.LoadCatalog(scenarios.Names{})
	if err != nil {
		return nil, err
	}
	entry, err := all.Get(suite)
	return entry.Problems, err
}

// needs returns the capabilities that problems require of a cluster, by problem. Those that require nothing are not in it.
func needs(ids []string) (map[string][]string, error) {
	known, err := faults.LoadCatalog(faults.Embedded())
	if err != nil {
		return nil, err
	}
	all, err := problems.LoadCatalog(problems.Names{}, problems.Embedded())
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, id := range ids {
		entry, err := all.Get(id)
		if err != nil {
			return nil, err
		}
		answer, err := truth.Load(truth.Names{}, entry)
		if err != nil {
			return nil, err
		}
		for _, ref := range answer.Faults {
			fault, err := known.Get(ref.ID)
			if err != nil {
				return nil, err
			}
			for _, need := range fault.Requires {
				if !slices.Contains(out[id], need) {
					out[id] = append(out[id], need)
				}
			}
		}
	}
	return out, nil
}

// TestNeeds tells the problems of the suite that every kernel can play from those that need netem.
func TestNeeds(t *testing.T) {
	t.Parallel()
	ids, err := suiteProblems()
	require.NoError(t, err)
	require.Contains(t, ids, "hotel-node-store-partition")
	got, err := needs(ids)
	require.NoError(t, err)
	for id, all := range got {
		require.Equal(t, id == "hotel-node-slow-network", slices.Contains(all, faults.Netem), id)
	}
	require.Contains(t, got, "hotel-node-slow-network")

	_, err = needs([]string{"no-such-problem"})
	require.Error(t, err)
}
