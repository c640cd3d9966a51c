package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

var update = flag.Bool("update", false, "write testdata/want.md anew")

// golden are two runs that differ in one verdict, one trial without a grade, and one problem.
func golden() []string {
	return []string{filepath.Join("testdata", "embedded"), filepath.Join("testdata", "kind")}
}

func causesFile() string { return filepath.Join("testdata", "causes.yaml") }

// TestReport compares the two and holds the page against the one that is committed.
func TestReport(t *testing.T) {
	t.Parallel()
	file, want := filepath.Join(t.TempDir(), "report.md"), filepath.Join("testdata", "want.md")
	require.NoError(t, run([]string{causesFile()}, file, golden()))
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(want, got, 0o644))
	}
	text, err := os.ReadFile(want)
	require.NoError(t, err)
	require.Equal(t, string(text), string(got))
}

// TestUnexplained: the page is written, and the error lists what has no cause.
func TestUnexplained(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.md")
	err := run(nil, file, golden())
	require.EqualError(t, err, `explain differences: these have no cause:
  p-port, agent playbook, localization: embedded 1, kind 0
  p-port (twin), agent playbook, detection: embedded 1, kind infra_error
  p-slow: not played on kind`)
	require.Contains(t, errs.HintOf(err), "hack/agreement/causes.yaml")
	require.Equal(t, errs.ExitError, errs.ExitCode(err))
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(got), "1. p-port, agent playbook, localization: embedded 1, kind 0. **Not explained yet.**\n")
	require.Contains(t, string(got), "| p-slow | kind | **Not explained yet.** |\n")
}

// TestCauseFitsOnlyWhatItNames: a cause of other verdicts, of another side, or of the problem with its fault explains nothing.
func TestCauseFitsOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	d := difference{Key: results.Key{Problem: "p", Agent: "a", Attempt: 1, Twin: true}, task: detection, shown: [2]string{"1", "0"}}
	yes, no := true, false
	for _, tt := range []struct {
		name  string
		cause cause
		want  bool
	}{
		{"the problem", cause{Problem: "p"}, true},
		{"all that there is", cause{Problem: "p", Agent: "a", Task: detection, Twin: &yes, Verdicts: map[string]string{"x": "1", "y": "0"}}, true},
		{"one of the two verdicts", cause{Problem: "p", Verdicts: map[string]string{"y": "0"}}, true},
		{"another problem", cause{Problem: "q"}, false},
		{"another agent", cause{Problem: "p", Agent: "b"}, false},
		{"another task", cause{Problem: "p", Task: "diagnosis"}, false},
		{"not the twin", cause{Problem: "p", Twin: &no}, false},
		{"the other way round", cause{Problem: "p", Verdicts: map[string]string{"x": "0", "y": "1"}}, false},
		{"a problem that was not played", cause{Problem: "p", Missing: "y"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.cause.fits(d, [2]string{"x", "y"}))
		})
	}
}

// TestSameRun agrees with itself.
func TestSameRun(t *testing.T) {
	t.Parallel()
	data, err := results.Load(golden()[0])
	require.NoError(t, err)
	c, err := compare(data, data)
	require.NoError(t, err)
	require.Equal(t, 45, c.verdicts)
	require.Empty(t, c.differences)
	require.Empty(t, c.alone)
	require.Empty(t, c.unexplained())
	require.Contains(t, c.markdown(), "There are none.")
}

// TestLeftOut: a run says itself why it has left a problem out.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	a, err := results.Load(golden()[0])
	require.NoError(t, err)
	b, err := results.Load(golden()[1])
	require.NoError(t, err)
	b.Run.LeftOut = []results.LeftOut{{Problem: "p-slow", Reason: "its fault slow requires netem (here the kernel has none)"}}
	c, err := compare(a, b)
	require.NoError(t, err)
	c.explain([]cause{{Problem: "p-slow", Missing: "kind", Cause: "Something else."}})
	require.Contains(t, c.markdown(), "| p-slow | kind | It was left out, for its fault slow requires netem (here the kernel has none). |\n")
}

// TestAttempts tells the attempts of a trial apart, and misses one that has no record.
func TestAttempts(t *testing.T) {
	t.Parallel()
	played := func(cluster string, scores ...float64) *results.Data {
		d := &results.Data{Run: results.Run{ID: cluster, Cluster: cluster, Problems: []string{"p"}, Agents: []string{"a"}, Attempts: 2}}
		for i, v := range scores {
			d.Trials = append(d.Trials, results.TrialRecord{
				Key: results.Key{Problem: "p", Agent: "a", Attempt: i + 1}, Tasks: []string{detection}, Status: results.BudgetExhausted,
				Scores: []results.Score{{Task: detection, Value: v}},
			})
		}
		return d
	}
	c, err := compare(played("x", 1, 0.5), played("y", 1))
	require.NoError(t, err)
	require.Equal(t, 2, c.verdicts)
	require.Equal(t, []string{"p (attempt 2), agent a, detection: x 0.5 budget_exhausted, y -"}, c.unexplained())
}

// TestBadInput: runs that cannot be compared, and causes that cannot be read.
func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, tt := range []struct {
		name   string
		causes []string
		runs   []string
		err    string
	}{
		{"one run", nil, golden()[:1], "want two run directories, got 1"},
		{"no run", nil, []string{golden()[0], dir}, "there is no run.json in it"},
		{"no file of causes", []string{filepath.Join(dir, "missing.yaml")}, golden(), "read causes: "},
		{"unknown field", []string{file("field.yaml", "causes:\n  - {problem: p, cause: c, agents: a}\n")}, golden(), "field.yaml:2:"},
		{"no cause", []string{file("empty.yaml", "causes:\n  - {problem: p}\n")}, golden(), "cause"},
		{"verdicts of what was not played", []string{file("missing-agent.yaml", "causes:\n  - {problem: p, missing: kind, agent: a, cause: c}\n")}, golden(),
			"a problem that was not played has no verdicts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(tt.causes, filepath.Join(t.TempDir(), "report.md"), tt.runs)
			require.ErrorContains(t, err, tt.err)
			require.Equal(t, errs.ExitUsage, errs.ExitCode(err))
		})
	}
}

// TestOtherQuestions: runs that did not ask for the same are not compared.
func TestOtherQuestions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(r *results.Run)
		err    string
	}{
		{"agents", func(r *results.Run) { r.Agents = []string{"oracle"} }, "agents: [nop oracle playbook] and [oracle]"},
		{"attempts", func(r *results.Run) { r.Attempts = 5 }, "attempts: 1 and 5"},
		{"seeds", func(r *results.Run) { r.Seeds = []int64{7} }, "seeds: [0] and [7]"},
		{"twins", func(r *results.Run) { r.Twins = false }, "twins: true and false"},
		{"files of a problem", func(r *results.Run) { r.Digests["problem/p-port"] = "sha256:other" }, "problem/p-port: sha256:p-port and sha256:other"},
		{"problems", func(r *results.Run) { r.Problems = []string{"p-new"} }, "no problem in common"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := results.Load(golden()[0])
			require.NoError(t, err)
			b, err := results.Load(golden()[1])
			require.NoError(t, err)
			tt.change(&b.Run)
			_, err = compare(a, b)
			require.ErrorContains(t, err, tt.err)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
		})
	}
}

// TestCommittedCauses are in order.
func TestCommittedCauses(t *testing.T) {
	t.Parallel()
	all, err := readCauses([]string{"causes.yaml"})
	require.NoError(t, err)
	require.NotEmpty(t, all)
}
