package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types" // Registers the types of faults.
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
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

// needs returns what problems ask of a node's kernel, by problem. Those that ask for nothing are not in it.
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
			need, err := kernelNeed(fault)
			if err != nil {
				return nil, err
			}
			if need != "" && !slices.Contains(out[id], need) {
				out[id] = append(out[id], need)
			}
		}
	}
	return out, nil
}

// kernelNeed is what one fault asks of the kernel, or "".
func kernelNeed(fault faults.Entry) (string, error) {
	if fault.Type != "chaosmesh" {
		return "", nil
	}
	var object struct {
		Kind string `yaml:"kind"`
		Spec struct {
			Action string `yaml:"action"`
		} `yaml:"spec"`
	}
	if err := fault.Spec.Decode(&object); err != nil {
		return "", fmt.Errorf("read fault %s: %w", fault.ID, err)
	}
	// Partitions are made of iptables and ipset, bandwidth of tbf: every kernel that runs Docker has them.
	if object.Kind == "NetworkChaos" && slices.Contains([]string{"netem", "delay", "loss", "duplicate", "corrupt"}, object.Spec.Action) {
		return clustertest.Netem, nil
	}
	return "", nil
}

// TestNeeds tells the problems of the suite that every kernel can play from those that need netem.
func TestNeeds(t *testing.T) {
	t.Parallel()
	ids, err := suiteProblems()
	require.NoError(t, err)
	require.Contains(t, ids, "hotel-node-store-partition")
	got, err := needs(ids)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"hotel-node-slow-network": {clustertest.Netem}}, got)

	_, err = needs([]string{"no-such-problem"})
	require.Error(t, err)
}
