package random_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/random"
)

func play(t *testing.T, seed int64) *agentstest.Cloud {
	t.Helper()
	cloud := &agentstest.Cloud{Answer: func(_ context.Context, tool string, args map[string]any) (agents.Result, error) {
		command, _ := args["command"].(string)
		require.True(t, strings.HasPrefix(command, "get "), "%s %s changes something", tool, command)
		if strings.Contains(command, "nodes") {
			return agents.Result{Output: "node/node-1\nnode/node-2\n"}, nil
		}
		return agents.Result{Output: "deployment.apps/geo\ndeployment.apps/rate\nservice/geo\nsecret/x\n"}, nil
	}}
	require.NoError(t, random.New(seed).Solve(t.Context(), agentstest.Brief(), cloud))
	return cloud
}

func TestSeed(t *testing.T) {
	t.Parallel()
	answers := map[bool]int{}
	for seed := range int64(40) {
		a, b := play(t, seed), play(t, seed)
		require.Equal(t, a.Calls(), b.Calls(), "the same seed guesses the same")
		answers[a.Accepted("detection")["anomaly"].(bool)]++
		require.Len(t, a.Accepted("localization")["components"], 3)
		require.Contains(t, agentstest.Brief().Mechanisms, a.Accepted("diagnosis")["mechanism"])
		require.NotNil(t, a.Accepted("mitigation"))
	}
	require.Greater(t, answers[true], 8)
	require.Greater(t, answers[false], 8)
}
