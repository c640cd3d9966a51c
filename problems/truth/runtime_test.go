package truth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
)

func TestRuntimeParametersAreFilledInLater(t *testing.T) {
	t.Parallel()
	text := strings.Replace(good, "faults:", "runtime: {node: \"nodeOf Deployment/${target}\"}\nfaults:", 1)
	text = strings.Replace(text, "  - kubectl: patch", "  - kubectl: cordon ${node}\n  - kubectl: patch", 1)
	e := entry(text)
	raw, err := truth.Load(truth.Names{}, e)
	require.NoError(t, err)
	early, err := raw.Resolve(e.Draw(0))
	require.NoError(t, err)
	require.Equal(t, "nodeOf Deployment/geo", early.Runtime["node"])
	require.Equal(t, "cordon ${node}", early.Repair[0].Kubectl)
	late, err := early.Resolve(problems.Draw{"node": "node-2"})
	require.NoError(t, err)
	require.Equal(t, "cordon node-2", late.Repair[0].Kubectl)

	_, err = truth.Load(truth.Names{}, entry(strings.Replace(text, "{node:", "{target:", 1)))
	require.ErrorContains(t, err, "runtime.target: is a parameter of the problem, too")
}
