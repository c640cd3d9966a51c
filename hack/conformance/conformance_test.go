package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	tests := []string{"a", "b [Serial]", "c", "d", "e [Serial]"}
	require.Equal(t, []batch{
		{tests: []string{"a", "c"}, procs: 2}, {tests: []string{"d"}, procs: 1}, {tests: []string{"b [Serial]", "e [Serial]"}, procs: 1},
	}, plan(tests, 2, 4))
	require.Empty(t, plan(nil, 2, 4))
}

func TestFocus(t *testing.T) {
	t.Parallel()
	focus := regexp.MustCompile(focusOn([]string{"[sig] a.b", "c"}))
	require.True(t, focus.MatchString("[sig] a.b"))
	require.False(t, focus.MatchString("[sig] axb"))
	require.False(t, focus.MatchString("[sig] a.b and more"))
}

// TestReport keeps outcomes of two builds over two runs: the page says which test is of which.
func TestReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openStore(filepath.Join(dir, "outcomes"), false)
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(t, first.put(outcome{Name: name, State: "failed", Took: time.Minute, At: at, Build: "old"}))
	}
	first.close()
	again, err := openStore(filepath.Join(dir, "outcomes"), true)
	require.NoError(t, err)
	defer again.close()
	require.NoError(t, again.put(outcome{Name: "two", State: "passed", Took: time.Minute, At: at.Add(time.Hour), Build: "new"}))

	page := filepath.Join(dir, "page.md")
	specs := []string{"four", "one", "three", "two"}
	err = writeReport(page, "v1", specs, notes{}, notes{"one": "a cause", "two": "an old cause", "four": "hard"}, again)
	require.ErrorContains(t, err, "passed, take it out of causes.yaml: two")
	err = writeReport(page, "v1", specs, notes{}, notes{"one": "a cause"}, again)
	require.ErrorContains(t, err, "have none in causes.yaml: three")
	require.NoError(t, writeReport(page, "v1", specs, notes{}, notes{"one": "a cause", "three": "|"}, again))
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, want := range []string{
		"| passed | 1 |\n| failed | 2 |\n| skipped | 0 |\n| not run | 1 |\n| all | 4 |", "from 2026-01-02 03:03 to 2026-01-02 04:04 UTC; the tests took 3m0s",
		"2 are of the build old.", "- on the build new:\n  - two\n", "| one | a cause |\n| three | \\| |",
	} {
		require.Contains(t, string(data), want)
	}
	require.Equal(t, 1, strings.Count(string(data), "on the build"), "the most frequent build is not listed")
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for state, want := range map[types.SpecState]string{
		types.SpecStatePassed: "passed", types.SpecStateFailed: "failed", types.SpecStatePanicked: "failed",
		types.SpecStateInterrupted: "", types.SpecStateSkipped: "",
	} {
		out, ok := outcomeOf(types.SpecReport{State: state})
		require.Equal(t, want != "", ok, state)
		require.Equal(t, want, out.State, state)
	}
	out, ok := outcomeOf(types.SpecReport{State: types.SpecStateSkipped, Failure: types.Failure{Message: "needs two nodes"}})
	require.True(t, ok)
	require.Equal(t, "skipped", out.State)
	require.Equal(t, "needs two nodes", out.Message)
}
