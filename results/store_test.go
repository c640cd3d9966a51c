package results_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

// crashEnv makes the test binary a writer that is killed from outside.
const crashEnv = "GAMEDAY_TEST_CRASH_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(crashEnv); root != "" {
		writeForever(root)
		return
	}
	os.Exit(m.Run())
}

func run() results.Run {
	return results.Run{
		ID: "20260102T030405Z-smoke-1a2b3c", Scenario: "smoke", Argv: []string{"gameday", "run", "smoke"},
		Problems: []string{"p"}, Agents: []string{"oracle"}, Attempts: 1, Planned: 1,
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func record(problem, agent string, attempt int, twin bool, status results.Status, values ...float64) results.TrialRecord {
	r := results.TrialRecord{
		Key: results.Key{Problem: problem, Agent: agent, Attempt: attempt, Twin: twin}, ProblemVersion: 1, Status: status,
		Tasks: []string{"detection", "localization", "diagnosis", "mitigation"},
	}
	if twin {
		r.Tasks = r.Tasks[:1]
	}
	for i, v := range values {
		r.Scores = append(r.Scores, results.Score{Task: r.Tasks[i], Value: v, Reason: "because"})
	}
	return r
}

// writeForever says on stdout after each trial that it is on the disk.
func writeForever(root string) {
	r := run()
	store, err := results.Create(root, r)
	for i := 1; err == nil; i++ {
		var trial *results.Trial
		if trial, err = store.OpenTrial(results.Key{Problem: "p", Agent: "a", Attempt: i}); err != nil {
			break
		}
		_ = trial.AppendEvent(map[string]int{"n": i})
		_ = trial.Write(results.SubmissionFile, map[string]string{"x": strings.Repeat("y", 3000)})
		if err = trial.Finish(record("p", "a", i, false, results.Graded, 1, 1, 1, 1)); err == nil {
			_, err = fmt.Println(i)
		}
	}
	fmt.Fprintln(os.Stderr, err)
}

func TestKilledAtAnyPoint(t *testing.T) {
	t.Parallel()
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), crashEnv+"="+root)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			done := 0
			lines := bufio.NewScanner(out)
			for done < 3+4*i && lines.Scan() {
				done++
			}
			require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			for lines.Scan() {
				done++
			}
			require.Error(t, cmd.Wait())

			data, err := results.Load(filepath.Join(root, run().ID))
			require.NoError(t, err)
			require.Equal(t, results.RunInterrupted, data.Run.Status)
			require.GreaterOrEqual(t, len(data.Trials), done, "every trial that was reported is there")
			require.LessOrEqual(t, len(data.Unfinished), 1, "only the one under way has no record")
			for n, r := range data.Trials {
				require.Equal(t, n+1, r.Attempt)
				require.Len(t, r.Scores, 4)
			}

			store, err := results.Reopen(data.Dir, time.Now())
			require.NoError(t, err, "the lock went with the process")
			require.NoError(t, store.Append(record("q", "a", 1, false, results.Graded)))
			require.NoError(t, store.Close())
			again, err := results.Load(data.Dir)
			require.NoError(t, err)
			require.Len(t, again.Trials, len(data.Trials)+1)
		})
	}
}

func TestStoreLifecycle(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store, err := results.Create(root, run())
	require.NoError(t, err)
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, results.RunStarted, data.Run.Status)
	require.Equal(t, results.SchemaVersion, data.Run.SchemaVersion)

	_, err = results.Create(root, run())
	require.ErrorContains(t, err, "it exists already")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	_, err = results.Reopen(store.Dir(), time.Now())
	require.ErrorContains(t, err, "another process is writing it")

	key := results.Key{Problem: "p", Agent: "oracle", Attempt: 1}
	first, err := store.OpenTrial(key)
	require.NoError(t, err)
	require.NoError(t, first.Finish(record("p", "oracle", 1, false, results.InfraError)))
	second, err := store.OpenTrial(key)
	require.NoError(t, err)
	require.Equal(t, "trials/p/oracle/1.r1", second.RelDir())
	require.NoError(t, second.AppendTranscript(map[string]string{"tool": "kubectl"}))
	log, err := second.Log("agent.log")
	require.NoError(t, err)
	_, err = log.Write([]byte("hello\n"))
	require.NoError(t, err)
	require.NoError(t, second.Finish(record("p", "oracle", 1, false, results.Graded, 1, 0, 1, 0)))

	summary, err := store.Finish(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), nil)
	require.NoError(t, err)
	require.Equal(t, 1, summary.Retries)
	require.InDelta(t, 0.5, *summary.Agents[0].Score, 0)
	require.NoError(t, store.Close())
	require.NoError(t, store.Close())

	data, err = results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, results.RunFinished, data.Run.Status)
	require.Equal(t, "2026-01-02T03:05:00Z", data.Run.FinishedAt.Format(time.RFC3339))
	require.Len(t, data.Trials, 2)
	require.Equal(t, 1, data.Trials[1].Retry)
	require.Empty(t, data.Unfinished)
	_, err = store.OpenTrial(results.Key{Problem: "p", Agent: "oracle", Attempt: 2})
	require.NoError(t, err)
	data, err = results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, []string{"trials/p/oracle/2"}, data.Unfinished)
	for _, name := range []string{
		"run.json", "trials.jsonl", "summary.json", "summary.md", "trials/p/oracle/1/trial.json", "trials/p/oracle/1/score.json",
		"trials/p/oracle/1.r1/transcript.jsonl", "trials/p/oracle/1.r1/logs/agent.log",
	} {
		require.FileExists(t, filepath.Join(store.Dir(), name))
	}
	leftovers, err := filepath.Glob(filepath.Join(store.Dir(), ".*.*"))
	require.NoError(t, err)
	require.Empty(t, leftovers, "no temporary files")
}

func TestFinishSaysWhy(t *testing.T) {
	t.Parallel()
	for status, runErr := range map[results.RunStatus]error{
		results.RunFailed:    errs.Hint(errs.Newf(errs.Infra, "no memory"), "buy some"),
		results.RunCancelled: errs.Newf(errs.Interrupted, "interrupted"),
	} {
		store, err := results.Create(t.TempDir(), run())
		require.NoError(t, err)
		_, err = store.Finish(time.Now(), runErr)
		require.NoError(t, err)
		require.NoError(t, store.Close())
		data, err := results.Load(store.Dir())
		require.NoError(t, err)
		require.Equal(t, status, data.Run.Status)
		require.Equal(t, runErr.Error(), data.Run.Error.Message)
		require.Equal(t, errs.HintOf(runErr), data.Run.Error.Hint)
	}
}

func TestTornLinesAndLostLines(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	for i := 1; i <= 3; i++ {
		trial, err := store.OpenTrial(results.Key{Problem: "p", Agent: "a", Attempt: i})
		require.NoError(t, err)
		require.NoError(t, trial.Finish(record("p", "a", i, false, results.Graded, 1, 1, 1, 1)))
	}
	require.NoError(t, store.Close())
	file := filepath.Join(store.Dir(), results.TrialsFile)
	full, err := os.ReadFile(file)
	require.NoError(t, err)
	for cut := len(full); cut >= 0; cut -= 17 {
		require.NoError(t, os.WriteFile(file, full[:cut], 0o600))
		data, err := results.Load(store.Dir())
		require.NoError(t, err)
		require.Len(t, data.Trials, 3, "cut at %d: trial.json has what the line lost", cut)
	}
}

func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	trial, err := store.OpenTrial(results.Key{Problem: "x", Agent: "a", Attempt: 1})
	require.NoError(t, err)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			for j := range 20 {
				_ = trial.AppendEvent(map[string]string{"text": strings.Repeat(fmt.Sprint(j%10), 5000)})
			}
			_ = store.Append(record("p", "a", i+1, false, results.Graded, 1, 1, 1, 1))
		})
	}
	group.Wait()
	require.NoError(t, trial.Close())
	require.NoError(t, store.Close())
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Len(t, data.Trials, 20)
	require.Zero(t, data.Torn)
	events, err := os.ReadFile(filepath.Join(trial.Dir(), results.EventsFile))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(events)), "\n")
	require.Len(t, lines, 400)
	for _, line := range lines {
		require.True(t, json.Valid([]byte(line)))
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	trial, err := store.OpenTrial(results.Key{Problem: "x", Agent: "a", Attempt: 1})
	require.NoError(t, err)
	log, err := trial.Log("../agent.log")
	require.NoError(t, err)
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range 9 {
		n, err := log.Write(chunk)
		require.NoError(t, err)
		require.Equal(t, len(chunk), n)
	}
	require.NoError(t, trial.Close())
	data, err := os.ReadFile(filepath.Join(trial.Dir(), "logs", "agent.log"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(data), "\n[truncated: 1048576 bytes left out]\n"))
	require.NoError(t, store.Close())
}

func TestBadStores(t *testing.T) {
	t.Parallel()
	_, err := results.Load(t.TempDir())
	require.ErrorContains(t, err, "there is no run.json in it")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	bad := run()
	bad.ID = "../x"
	_, err = results.Create(t.TempDir(), bad)
	require.ErrorContains(t, err, "is not a run id")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = results.Create(filepath.Join(file, "runs"), run())
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.NotEmpty(t, errs.HintOf(err))
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	require.ErrorContains(t, store.Append(results.TrialRecord{Status: "great"}), `"great" is not a status`)
	require.NoError(t, store.Close())
}

func TestList(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	none, err := results.List(filepath.Join(root, "missing"))
	require.NoError(t, err)
	require.Empty(t, none)
	for i, id := range []string{"b", "a"} {
		r := run()
		r.ID, r.StartedAt = id, r.StartedAt.Add(time.Duration(i)*time.Hour)
		store, err := results.Create(root, r)
		require.NoError(t, err)
		require.NoError(t, store.Close())
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "not-a-run"), 0o755))
	runs, err := results.List(root)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, "b", runs[0].Run.ID)
}

func TestReadTrialFile(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), run())
	require.NoError(t, err)
	trial, err := store.OpenTrial(results.Key{Problem: "x", Agent: "a", Attempt: 1})
	require.NoError(t, err)
	require.NoError(t, trial.Write(results.EvidenceFile, map[string]int{"n": 1}))
	require.NoError(t, trial.Finish(record("x", "a", 1, false, results.Graded)))
	require.NoError(t, store.Close())
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	var got map[string]int
	require.NoError(t, results.ReadTrialFile(store.Dir(), data.Trials[0], results.EvidenceFile, &got))
	require.Equal(t, 1, got["n"])
	require.ErrorIs(t, results.ReadTrialFile(store.Dir(), data.Trials[0], results.SubmissionFile, &got), os.ErrNotExist)
}
