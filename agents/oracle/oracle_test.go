package oracle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/oracle"
)

func script() agents.Script {
	node := agents.Component{Kind: "Node", Name: "node-1"}
	return agents.Script{
		Submission: agents.Submission{
			Detection: &agents.Detection{Anomaly: true}, Localization: &agents.Localization{Components: []agents.Component{node}},
			Diagnosis: &agents.Diagnosis{Component: node, Mechanism: "network-delay", Field: "x"}, Mitigation: &agents.Mitigation{Summary: "done"},
		},
		Repair: []agents.ScriptStep{
			{Kubectl: "cordon node-1"}, {Wait: 2 * time.Second}, {Kubectl: "exec -i deploy/db -- mysql", Stdin: "GRANT ALL;\n"},
		},
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	cloud := &agentstest.Cloud{}
	require.NoError(t, oracle.New(script()).Solve(t.Context(), agentstest.Brief(), cloud))
	var steps []string
	for _, c := range cloud.Calls() {
		step := c.Tool
		if command, ok := c.Args["command"].(string); ok {
			step += " " + command
		}
		if stdin, ok := c.Args["stdin"].(string); ok {
			step += " <" + stdin
		}
		steps = append(steps, step)
	}
	require.Equal(t, []string{
		"submit_detection", "submit_localization", "submit_diagnosis", "kubectl cordon node-1", "wait", "kubectl exec -i deploy/db -- mysql <GRANT ALL;\n",
		"kubectl wait --for=condition=Available deployment --all --timeout=1m0s", "submit_mitigation",
	}, steps)
	require.Equal(t, "x", cloud.Accepted("diagnosis")["field"])
}

func TestTwin(t *testing.T) {
	t.Parallel()
	cloud := &agentstest.Cloud{}
	twin := agents.Script{Submission: agents.Submission{Detection: &agents.Detection{Anomaly: false}}}
	require.NoError(t, oracle.New(twin).Solve(t.Context(), agentstest.Brief(), cloud))
	require.Equal(t, map[string]any{"anomaly": false}, cloud.Accepted("detection"))
	require.Len(t, cloud.Calls(), 1)
}

func TestFailedStep(t *testing.T) {
	t.Parallel()
	cloud := &agentstest.Cloud{Answer: func(_ context.Context, _ string, args map[string]any) (agents.Result, error) {
		command, _ := args["command"].(string)
		return agents.Result{Output: "no such deployment", IsError: strings.HasPrefix(command, "exec")}, nil
	}}
	err := oracle.New(script()).Solve(t.Context(), agentstest.Brief(), cloud)
	require.ErrorIs(t, err, oracle.ErrStep)
	require.ErrorContains(t, err, "step 3: kubectl exec -i deploy/db -- mysql: no such deployment")
	require.Nil(t, cloud.Accepted("mitigation"))
}
