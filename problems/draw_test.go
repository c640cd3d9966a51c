package problems_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/problems"
)

func sample() problems.Problem {
	return problems.Problem{
		ID: "p", App: "shop",
		Parameters: map[string][]string{"node": {"n1", "n2", "n3"}, "target": {"a", "b"}},
		Variants:   []map[string]string{{"service": "geo", "port": "1"}, {"service": "rate", "port": "2"}},
	}
}

func TestDrawIsPinned(t *testing.T) {
	t.Parallel()
	for seed, want := range map[int64]problems.Draw{
		0:  {"namespace": "shop", "node": "n1", "target": "a", "service": "geo", "port": "1"},
		1:  {"namespace": "shop", "node": "n3", "target": "b", "service": "geo", "port": "1"},
		2:  {"namespace": "shop", "node": "n3", "target": "a", "service": "rate", "port": "2"},
		-7: {"namespace": "shop", "node": "n3", "target": "b", "service": "geo", "port": "1"},
	} {
		require.Equal(t, want, sample().Draw(seed), "seed %d: a draw may never change", seed)
	}
}

func TestDrawCoversEveryValue(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range int64(300) {
		draw := sample().Draw(seed + 1)
		seen[draw["node"]]++
		require.Equal(t, map[string]string{"geo": "1", "rate": "2"}[draw["service"]], draw["port"])
	}
	require.Len(t, seen, 3)
	for value, n := range seen {
		require.InDelta(t, 100, n, 35, value)
	}
}

func TestDrawKeepsOthersWhenOneIsAdded(t *testing.T) {
	t.Parallel()
	more := sample()
	more.Parameters["zone"] = []string{"x", "y"}
	for seed := range int64(50) {
		a, b := sample().Draw(seed), more.Draw(seed)
		delete(b, "zone")
		require.Equal(t, a, b)
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	got := sample().Samples()
	require.Equal(t, sample().Draw(0), got[0])
	require.Len(t, got, 1+2+1+1)
	require.Equal(t, problems.Draw{"namespace": "shop", "node": "n1", "target": "a", "service": "rate", "port": "2"}, got[4])
	require.Equal(t, []problems.Draw{{"namespace": "x"}}, problems.Problem{App: "x"}.Samples())
}

func TestFill(t *testing.T) {
	t.Parallel()
	draw := problems.Draw{"a": "1", "b": "${a}"}
	text, err := draw.Fill("x${a}${b} $a $${a} {a}")
	require.NoError(t, err)
	require.Equal(t, "x1${a} $a ${a} {a}", text)
	text, err = draw.Fill("${z} ${a} ${y} ${z}")
	require.EqualError(t, err, "unknown parameter ${y}, ${z} (declared: a, b)")
	require.Equal(t, "${z} 1 ${y} ${z}", text)
}

func TestTaxonomy(t *testing.T) {
	t.Parallel()
	taxonomy, err := problems.LoadTaxonomy()
	require.NoError(t, err)
	for _, id := range []string{"network-delay", "network-partition", "wrong-port", "permission-revoked", "scaled-to-zero", "buggy-release"} {
		m, ok := taxonomy.Mechanism(id)
		require.True(t, ok, id)
		require.NotEmpty(t, m.Category)
	}
	require.IsIncreasing(t, taxonomy.MechanismIDs())
	require.Contains(t, taxonomy.Kinds(), "Node")
	_, err = problems.ParseTaxonomy("t.yaml", []byte(`apiVersion: gameday.dev/v1
kind: Taxonomy
version: 1
categories: [{id: network, description: x}]
mechanisms:
  - {id: a-b, title: A, description: d, category: netwrk}
  - {id: a-b, title: A, description: d, category: network}
  - {id: A, title: A, description: d, category: network}
componentKinds: [{id: Node, description: x}]
`))
	require.EqualError(t, err, `t.yaml:6:51: mechanisms[0].category: unknown category "netwrk" (allowed: network)
t.yaml:7:10: mechanisms[1].id: "a-b" is listed twice
t.yaml:8:10: mechanisms[2].id: "A" is not an id: want lower-case words joined by dashes`)
}
