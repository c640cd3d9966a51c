package scenarios_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/scenarios"
)

const good = `apiVersion: gameday.dev/v1
kind: Scenario
id: mine
title: Mine
problems: [p, q]
agents: [oracle]
attempts: 3
seeds: [7, 8]
twins: true
`

func names() scenarios.Names {
	return scenarios.Names{Problems: []string{"p", "q"}, Agents: []string{"oracle", "nop"}, Providers: []string{"embedded"}}
}

func TestSmokeIsCompiledIn(t *testing.T) {
	t.Parallel()
	c, err := scenarios.LoadCatalog(scenarios.Names{})
	require.NoError(t, err)
	smoke, err := c.Get("smoke")
	require.NoError(t, err)
	require.Len(t, smoke.Problems, 6)
	require.True(t, smoke.Twins)
	require.Equal(t, 1, smoke.Attempts)
	require.Equal(t, []int64{0}, smoke.Seeds)
	require.Equal(t, "embedded", smoke.Cluster.Provider)
	_, err = c.Get("smok")
	require.EqualError(t, err, `unknown scenario "smok"`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), `did you mean "smoke"?`)
}

func TestReadBad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"names", "apiVersion: gameday.dev/v1\nkind: Scenario\nid: mine\ntitle: x\nproblems: [p, pp, p]\nagents: [orcale]\n",
			`mine.yaml:5:15: problems[1]: unknown problem "pp"; known: p, q
mine.yaml:5:19: problems[2]: "p" is listed twice
mine.yaml:6:10: agents[0]: unknown agent "orcale"; did you mean "oracle"? known: nop, oracle`},
		{"schema", "apiVersion: gameday.dev/v1\nkind: Scenari\nid: yours\ntitle: x\nproblems: []\nattempts: -1\ntwin: true\n",
			`mine.yaml:2:7: kind: unknown value "Scenari" (allowed: Scenario); did you mean "Scenario"?
mine.yaml:3:5: id: is "yours", but the file is called "mine.yaml"
mine.yaml:5:1: problems: required field is empty
mine.yaml:6:11: attempts: must be at least 0, got -1
mine.yaml:7:1: twin: unknown field; did you mean "twins"?`},
		{"cluster", "apiVersion: gameday.dev/v1\nkind: Scenario\nid: mine\ntitle: x\nproblems: [p]\ncluster: {provider: kind}\n",
			`mine.yaml:6:21: cluster.provider: unknown cluster provider "kind"; known: embedded`},
		{"cluster, almost", "apiVersion: gameday.dev/v1\nkind: Scenario\nid: mine\ntitle: x\nproblems: [p]\ncluster: {provider: embeddde}\n",
			`mine.yaml:6:21: cluster.provider: unknown cluster provider "embeddde"; did you mean "embedded"? known: embedded`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := scenarios.Read(names(), "mine.yaml", []byte(tc.text))
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestPacks(t *testing.T) {
	t.Parallel()
	pack := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(pack, "scenarios"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(pack, "scenarios", "mine.yaml"), []byte(good), 0o600))
	c, err := scenarios.LoadCatalog(scenarios.Names{}, pack, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "smoke"}, c.IDs())
	_, err = scenarios.LoadCatalog(scenarios.Names{}, pack, pack)
	require.ErrorContains(t, err, `"mine" exists already in`)
}

func TestTrials(t *testing.T) {
	t.Parallel()
	plan := scenarios.Plan{Problems: []string{"p", "q"}, Agents: []string{"a", "b"}, Attempts: 3, Seeds: []int64{7, 8}, Twins: true}
	trials := plan.Trials()
	require.Len(t, trials, 2*2*3*2)
	require.Equal(t, "p/a/1", trials[0].String())
	require.Equal(t, "p.twin/a/1", trials[2].String())
	require.Equal(t, "q/a/1", trials[4].String())
	require.Equal(t, int64(7), trials[0].Seed)
	require.Equal(t, int64(8), trials[8].Seed)
	require.Equal(t, int64(7), trials[16].Seed)
	plan.Twins, plan.Seeds = false, nil
	require.Len(t, plan.Trials(), 12)
	require.Zero(t, plan.Trials()[0].Seed)
}
