package agentstest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
)

// limit is how long one case may take before the agent counts as hung.
const limit = 20 * time.Second

// Brief is the brief of the suite.
func Brief() agents.Brief {
	return agents.Brief{
		TrialID: "t1", Prompt: "You are on call.", App: "hotel", Namespace: "hotel",
		Tasks:          []string{"detection", "localization", "diagnosis", "mitigation"},
		Budget:         agents.Budget{Steps: 100, Time: time.Minute},
		Mechanisms:     []string{"buggy-release", "network-delay", "network-partition", "permission-revoked", "scaled-to-zero", "wrong-port"},
		ComponentKinds: []string{"ConfigMap", "Deployment", "Node", "Service", "StatefulSet"},
	}
}

// Run checks what every agent owes to the harness: it submits each task at most once and only what is asked, it stops when a
// budget is spent, it ends when it is cancelled, and observations that make no sense do not break it.
func Run(t *testing.T, newAgent func(t *testing.T) agents.Agent) {
	t.Run("submits once", func(t *testing.T) {
		cloud := &Cloud{}
		require.NoError(t, solve(t.Context(), t, newAgent(t), Brief(), cloud))
		require.Zero(t, cloud.Duplicates())
		require.NotNil(t, cloud.Accepted("detection"), "no answer to detection")
	})
	t.Run("only what is asked", func(t *testing.T) {
		brief := Brief()
		brief.Tasks = []string{"detection"}
		cloud := &Cloud{}
		require.NoError(t, solve(t.Context(), t, newAgent(t), brief, cloud))
		for _, call := range cloud.Calls() {
			require.True(t, !strings.HasPrefix(call.Tool, "submit_") || call.Tool == "submit_detection", call.Tool)
		}
	})
	t.Run("known tools", func(t *testing.T) {
		cloud := &Cloud{}
		require.NoError(t, solve(t.Context(), t, newAgent(t), Brief(), cloud))
		names := map[string]bool{}
		for _, tool := range cloud.Tools() {
			names[tool.Name] = true
		}
		for _, call := range cloud.Calls() {
			require.True(t, names[call.Tool], "unknown tool %s", call.Tool)
		}
	})
	t.Run("budget", func(t *testing.T) {
		for steps := 1; steps <= 3; steps++ {
			cloud := &Cloud{Steps: steps}
			err := solve(t.Context(), t, newAgent(t), Brief(), cloud)
			require.LessOrEqual(t, cloud.Overdrawn(), 1, "called on after the budget was spent")
			if cloud.Overdrawn() > 0 {
				require.ErrorIs(t, err, agents.ErrBudget)
			}
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cloud := &Cloud{Answer: func(ctx context.Context, _ string, _ map[string]any) (agents.Result, error) {
			cancel()
			<-ctx.Done()
			return agents.Result{}, ctx.Err()
		}}
		cancelAfter := time.AfterFunc(time.Second, cancel)
		defer cancelAfter.Stop()
		err := solve(ctx, t, newAgent(t), Brief(), cloud)
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	})
	for name, output := range map[string]string{
		"empty": "", "garbage": "\x00\xff{[", "half a table": "NAME READY\nfoo", "json of another shape": `{"a":[1,{"b":null}]}`,
		"long": strings.Repeat("x y z a b c d\n", 5000), "names": "deployment.apps/geo\nservice/\n/\nnode/node-1\n",
	} {
		t.Run("malformed observation: "+name, func(t *testing.T) {
			for _, isError := range []bool{false, true} {
				cloud := &Cloud{Answer: func(context.Context, string, map[string]any) (agents.Result, error) {
					return agents.Result{Output: output, IsError: isError}, nil
				}}
				require.NoError(t, solve(t.Context(), t, newAgent(t), Brief(), cloud))
				require.Zero(t, cloud.Duplicates())
			}
		})
	}
}

// errHung says that an agent did not come back.
var errHung = errors.New("the agent did not return")

func solve(ctx context.Context, t *testing.T, agent agents.Agent, brief agents.Brief, cloud agents.Cloud) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- agent.Solve(ctx, brief, cloud) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		require.FailNow(t, "hung", "%v within %s", errHung, limit)
		return errHung
	}
}
