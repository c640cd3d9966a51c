package problems_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/problems"
)

const good = `apiVersion: gameday.dev/v1
kind: Problem
id: shop-slow
version: 1
title: The shop is slow
author: A. Uthor
tags: [network]
difficulty: easy
app: shop
load: {profile: normal}
tasks: [detection, mitigation]
budget: {steps: 30, time: 5m}
prompt: You look after ${namespace} on ${node}.
parameters:
  node: [node-1, node-2, node-3]
  namespace: [shop, store]
variants:
  - {service: cart, port: "8083"}
  - {service: geo, port: "8084"}
`

func names() problems.Names {
	return problems.Names{
		Apps:     []string{"shop", "hotel"},
		Profiles: func(string) []string { return []string{"normal", "peak"} },
	}
}

func load(t *testing.T, files map[string]string) (*problems.Catalog, error) {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return problems.LoadCatalog(names(), problems.Source{FS: tree, Prefix: "cat"})
}

func TestLoadGood(t *testing.T) {
	t.Parallel()
	c, err := load(t, map[string]string{
		"shop-slow/problem.yaml": good, "shop-slow/README.md": "text", "notes/README.md": "not a problem",
		"a-first/problem.yaml": strings.Replace(good, "id: shop-slow", "id: a-first", 1),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a-first", "shop-slow"}, c.IDs())
	p, err := c.Get("shop-slow")
	require.NoError(t, err)
	require.Equal(t, "cat/shop-slow", p.Prefix)
	require.Equal(t, []string{"namespace", "node", "port", "service"}, p.ParameterNames())
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, p.Digest)
}

func TestDigestCoversEveryFile(t *testing.T) {
	t.Parallel()
	digest := func(readme, truth string) string {
		c, err := load(t, map[string]string{
			"shop-slow/problem.yaml": good, "shop-slow/README.md": readme, "shop-slow/truth.yaml": truth,
		})
		require.NoError(t, err)
		return c.All()[0].Digest
	}
	first, second := digest("a", "b"), digest("a", "b")
	require.Equal(t, first, second)
	require.NotEqual(t, digest("a", "b"), digest("a", "c"))
	require.NotEqual(t, digest("ab", "c"), digest("a", "bc"))
}

func TestGetUnknown(t *testing.T) {
	t.Parallel()
	c, err := load(t, map[string]string{"shop-slow/problem.yaml": good})
	require.NoError(t, err)
	_, err = c.Get("shop-slwo")
	require.EqualError(t, err, `unknown problem "shop-slwo"`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Equal(t, `did you mean "shop-slow"? known: shop-slow`, errs.HintOf(err))
}

func TestLoadBad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, old, new, want string }{
		{"directory", "id: shop-slow", "id: shop-fast", `cat/shop-slow/problem.yaml:3:5: id: is "shop-fast", but the directory is called "shop-slow"`},
		{"id", "id: shop-slow", "id: Shop_Slow", `cat/shop-slow/problem.yaml:3:5: id: "Shop_Slow" is not an id: want lower-case words joined by dashes, at most 63 characters`},
		{"app", "app: shop", "app: hotl", `cat/shop-slow/problem.yaml:9:6: app: unknown app "hotl"; did you mean "hotel"? known: hotel, shop`},
		{"profile", "profile: normal", "profile: norml", `cat/shop-slow/problem.yaml:10:17: load.profile: unknown load profile "norml" of app "shop"; did you mean "normal"? known: normal, peak`},
		{"rate", "{profile: normal}", "{profile: normal, rate: -1}", `cat/shop-slow/problem.yaml:10:31: load.rate: must be at least 0, got -1`},
		{"task", "[detection, mitigation]", "[detect]", `cat/shop-slow/problem.yaml:11:9: tasks[0]: unknown value "detect" (allowed: detection, localization, diagnosis, mitigation); did you mean "detection"?`},
		{"task twice", "[detection, mitigation]", "[detection, detection]", `cat/shop-slow/problem.yaml:11:20: tasks[1]: "detection" is listed twice`},
		{"no tasks", "[detection, mitigation]", "[]", `cat/shop-slow/problem.yaml:11:1: tasks: required field is empty`},
		{"budget", "steps: 30", "steps: 0", `cat/shop-slow/problem.yaml:12:17: budget.steps: must be at least 1, got 0`},
		{"budget unit", "time: 5m", "time: 300", `cat/shop-slow/problem.yaml:12:27: budget.time: want a duration such as 30s or 5m, got the number 300 (write 300s for seconds)`},
		{"budget of tokens", "time: 5m}", "time: 5m, tokens: -1}", `cat/shop-slow/problem.yaml:12:39: budget.tokens: must be at least 0, got -1`},
		{"budget in dollars", "time: 5m}", "time: 5m, costUSD: much}", `cat/shop-slow/problem.yaml:12:40: budget.costUSD: want a number, got the string "much"`},
		{"difficulty", "easy", "trivial", `cat/shop-slow/problem.yaml:8:13: difficulty: unknown value "trivial" (allowed: easy, medium, hard)`},
		{"prompt", "on ${node}", "on ${nod}", `cat/shop-slow/problem.yaml:13:9: prompt: unknown parameter ${nod} (declared: namespace, node, port, service)`},
		{"no values", "[node-1, node-2, node-3]", "[]", `cat/shop-slow/problem.yaml:15:9: parameters.node: has no values
cat/shop-slow/problem.yaml:13:9: prompt: unknown parameter ${node} (declared: namespace, port, service)`},
		{"value twice", "[node-1, node-2, node-3]", "[node-1, node-1]", `cat/shop-slow/problem.yaml:15:18: parameters.node[1]: "node-1" is listed twice`},
		{"namespace", "[shop, store]", "[Shop]", `cat/shop-slow/problem.yaml:16:15: parameters.namespace[0]: "Shop" is not a namespace name`},
		{"variant misses", `{service: geo, port: "8084"}`, `{service: geo}`, `cat/shop-slow/problem.yaml:19:5: variants[1]: does not set "port", which variants[0] does`},
		{"variant repeats", `{service: geo, port: "8084"}`, `{service: geo, port: "8084", node: x}`, `cat/shop-slow/problem.yaml:19:40: variants[1].node: is in parameters, too
cat/shop-slow/problem.yaml:19:40: variants[1].node: is not in variants[0]: every variant sets the same parameters`},
		{"version", "gameday.dev/v1", "gameday.dev/v2", `cat/shop-slow/problem.yaml:1:13: apiVersion: unknown value "gameday.dev/v2" (allowed: gameday.dev/v1); did you mean "gameday.dev/v1"?`},
		{"field", "author:", "authr:", `cat/shop-slow/problem.yaml:1:1: author: required field is missing
cat/shop-slow/problem.yaml:6:1: authr: unknown field; did you mean "author"?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, text)
			c, err := load(t, map[string]string{"shop-slow/problem.yaml": text})
			require.Error(t, err)
			require.ElementsMatch(t, strings.Split(tc.want, "\n"), strings.Split(err.Error(), "\n"))
			require.Equal(t, errs.Usage, errs.PartyOf(err))
			require.Empty(t, c.IDs())
		})
	}
}

func TestSameIDInTwoPacks(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{"shop-slow/problem.yaml": {Data: []byte(good)}}
	_, err := problems.LoadCatalog(names(), problems.Source{FS: tree, Prefix: "a"}, problems.Source{FS: tree, Prefix: "b"})
	require.EqualError(t, err, `b/shop-slow/problem.yaml:3:5: id: "shop-slow" exists already in a/shop-slow/problem.yaml`)
}

func TestMissingPackIsEmpty(t *testing.T) {
	t.Parallel()
	c, err := problems.LoadCatalog(names(), problems.Directory(t.TempDir()))
	require.NoError(t, err)
	require.Empty(t, c.IDs())
}
