package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

// oneOn is a run of one trial.
func oneOn(took time.Duration, provision, deploy, baseline, clean float64) outcome {
	return outcome{took: took, data: &results.Data{Trials: []results.TrialRecord{{
		Key: results.Key{Problem: "p", Agent: "nop", Attempt: 1}, Status: results.Graded,
		Phases: map[string]float64{"provision": provision, "deploy": deploy, "baseline": baseline, "clean": clean, "act": 1},
	}}}}
}

// TestFreshRows compares the medians of phases.
func TestFreshRows(t *testing.T) {
	t.Parallel()
	var kind, embedded []sample
	for i := range 3 {
		d := float64(i)
		kind = append(kind, sampleOf(oneOn(time.Duration(120+i)*time.Second, 60+d, 20, 10+d, 4)))
		embedded = append(embedded, sampleOf(oneOn(30*time.Second, 3, 12, 10, 0.5)))
	}
	rows := freshRows(kind, embedded)
	require.Len(t, rows, 4)
	require.Equal(t, row{
		Name: "kind: cluster ready, with the images and a Chaos Mesh that works", Target: "-", Measured: "61.0 s", Met: true,
		Note: "runs: 60.0 61.0 62.0; embedded 3.0 s; 20.3 times embedded",
	}, rows[0])
	require.Equal(t, "31.0 s", rows[1].Measured)
	require.Equal(t, "4.0 s", rows[2].Measured)
	require.Equal(t, "121.0 s", rows[3].Measured)
	require.Equal(t, "runs: 120.0 121.0 122.0; embedded 30.0 s; 4.0 times embedded", rows[3].Note)
	require.Equal(t, "no ratio", times(1, 0))
}

// TestReusedRows leaves out the trial that started first, whatever its name is.
func TestReusedRows(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	many := func(took time.Duration, overheads ...float64) outcome {
		o := outcome{took: took, data: &results.Data{Run: results.Run{Agents: []string{"nop"}, Planned: len(overheads)}}}
		for i, v := range overheads {
			o.data.Trials = append(o.data.Trials, results.TrialRecord{
				Key: results.Key{Problem: string(rune('z' - i)), Agent: "nop", Attempt: 1}, Status: results.Graded,
				StartedAt: began.Add(time.Duration(i) * time.Minute), OverheadSeconds: v,
			})
		}
		return o
	}
	rows, err := reusedRows(many(4*time.Minute, 100, 50, 40, 50), many(2*time.Minute, 30, 25, 25, 25))
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "50.0 s", rows[0].Measured)
	require.Equal(t, "runs: 50.0 40.0 50.0; embedded 25.0 s; 2.0 times embedded; on embedded each has a cluster of its own", rows[0].Note)
	require.Equal(t, "kind: a run of 4 trials", rows[1].Name)
	require.Equal(t, "runs: 240.0; embedded 120.0 s; 2.0 times embedded; tried again: 0", rows[1].Note)

	_, err = reusedRows(many(time.Minute, 100), many(time.Minute, 30, 25))
	require.EqualError(t, err, "compare trials: 0 and 1 of them came after the first")
}

// TestClusterFlags hands over what the environment has, and nothing of it to embedded.
func TestClusterFlags(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"GAMEDAY_KIND_NODE_IMAGE": "gameday/kindnode:1", "GAMEDAY_CHAOS_MESH_CHART": "/chart"}
	getenv := func(name string) string { return environ[name] }
	require.Equal(t, []string{"--cluster", "embedded"}, clusterFlags("embedded", getenv))
	require.Equal(t, []string{"--cluster", "kind", "--node-image", "gameday/kindnode:1", "--chaos-mesh-chart", "/chart"}, clusterFlags("kind", getenv))
}

// TestNodeProcesses asks Docker for the containers of our nodes and for their first processes.
func TestNodeProcesses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	say := func(script string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	say(`case "$*" in
"ps -q --filter label=io.x-k8s.kind.cluster --filter name=gameday-") echo abc; echo def;;
"ps -a --format {{.Names}} --filter label=io.x-k8s.kind.cluster --filter name=gameday-") echo gameday-1-control-plane;;
"inspect --format {{.State.Pid}} abc def") echo 12; echo 0;;
*) echo "$*" >&2; exit 1;;
esac`)
	require.Equal(t, []int{12}, nodeProcesses(t.Context()), "a container that has just ended has no process")
	names, err := nodeContainers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"gameday-1-control-plane"}, names)

	say("exit 1")
	require.Empty(t, nodeProcesses(t.Context()))
	_, err = nodeContainers(t.Context())
	require.ErrorContains(t, err, "run docker ps")
}

// TestWeight counts the processes below every root.
func TestWeight(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	alone := game{}.weight(self)
	require.Positive(t, alone)
	require.Greater(t, game{roots: func() []int { return []int{self} }}.weight(self), alone+alone/2)
	require.Equal(t, 2*time.Second, game{roots: func() []int { return nil }}.weighEvery())
}
