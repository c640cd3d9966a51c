package stdio_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/stdio"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/proctree"
)

// mode makes the test binary play an agent.
const mode = "STDIO_TEST_MODE"

func TestMain(m *testing.M) {
	if play, ok := agent(os.Getenv(mode)); ok {
		play()
		return
	}
	os.Exit(m.Run())
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

var stdin = bufio.NewReaderSize(os.Stdin, 1<<20)

func hear() map[string]any {
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		os.Exit(4)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		os.Exit(5)
	}
	return m
}

// agent are the agents that the test binary plays.
func agent(name string) (func(), bool) {
	modes := map[string]func(){
		"good": func() {
			brief := hear()
			said := brief["brief"].(map[string]any)
			fmt.Fprintln(os.Stderr, "protocol", brief["protocol"], said["namespace"], said["budget"])
			say(`{"type":"usage","tokens":12,"costUSD":0.5}`)
			say(`{"type":"call","id":"a","tool":"kubectl","args":{"command":"get pods"}}`)
			answer := hear()
			fmt.Fprintln(os.Stderr, "got", answer["id"], answer["output"])
			say(`{"type":"call","id":2,"tool":"submit_detection","args":{"anomaly":true}}`)
			hear()
			say(`{"type":"done"}`)
		},
		"twice": func() {
			hear()
			for range 2 {
				say(`{"type":"call","id":1,"tool":"submit_detection","args":{"anomaly":true}}`)
				fmt.Fprintln(os.Stderr, hear()["output"])
			}
			say(`{"type":"done"}`)
		},
		"environment": func() {
			dir, _ := os.Getwd()
			entries, _ := os.ReadDir(".")
			fmt.Fprintln(os.Stderr, strings.Join(os.Environ(), "\n"), "\nentries", len(entries), dir)
			say(`{"type":"done"}`)
		},
		"garbage": func() { hear(); say("hello, I am thinking") },
		"unknown": func() { hear(); say(`{"type":"sing"}`) },
		"exit":    func() { hear(); fmt.Fprintln(os.Stderr, "bye"); os.Exit(3) },
		"exit0":   func() { hear() },
		"deaf":    func() { os.Stdin.Close(); say(`{"type":"call","id":1,"tool":"kubectl"}`); time.Sleep(time.Hour) },
		"hang":    func() { hear(); time.Sleep(time.Hour) },
		"stubborn": func() {
			// It ignores its end, and so does its child, which holds the pipes.
			child := exec.Command("sleep", "3600")
			child.Stdout, child.Stderr = os.Stdout, os.Stderr
			if child.Start() == nil {
				fmt.Fprintln(os.Stderr, "child", child.Process.Pid)
			}
			say(`{"type":"done"}`)
			time.Sleep(time.Hour)
		},
		"line":   func() { hear(); fmt.Print(strings.Repeat("x", 4<<20)); time.Sleep(time.Hour) },
		"flood":  func() { hear(); flood() },
		"stderr": func() { hear(); fmt.Fprint(os.Stderr, strings.Repeat("e", 1<<20)); say(`{"type":"done"}`) },
		"parallel": func() {
			hear()
			for i := range 20 {
				say(`{"type":"call","id":%d,"tool":"wait","args":{}}`, i)
			}
			seen := map[string]bool{}
			for range 20 {
				seen[fmt.Sprint(hear()["id"])] = true
			}
			fmt.Fprintln(os.Stderr, "answers", len(seen))
			say(`{"type":"done"}`)
		},
		"greedy": func() {
			hear()
			for {
				say(`{"type":"call","id":1,"tool":"kubectl","args":{}}`)
				if m := hear(); m["type"] == "end" {
					fmt.Fprintln(os.Stderr, "end:", m["reason"])
					time.Sleep(time.Hour)
				}
			}
		},
	}
	play, ok := modes[name]
	return play, ok
}

func flood() {
	for {
		say(`{"type":"usage","tokens":1,"costUSD":0,"pad":"%s"}`, strings.Repeat("x", 1000))
	}
}

// meteredCloud also takes usage.
type meteredCloud struct {
	*agentstest.Cloud
	budget agents.Budget
	mu     sync.Mutex
	tokens int64
}

func (c *meteredCloud) ReportUsage(tokens int64, costUSD float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens += tokens
	return c.budget.Overspent(c.tokens, costUSD)
}

func command(t *testing.T, name string, log *bytes.Buffer) *stdio.Command {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return &stdio.Command{
		Argv: []string{self}, SetEnv: map[string]string{mode: name}, Stderr: log,
		Limits: stdio.Limits{Line: 64 << 10, Total: 1 << 20, Stderr: 10 << 10, Exit: 300 * time.Millisecond},
	}
}

func TestGood(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cloud := &meteredCloud{Cloud: &agentstest.Cloud{Answer: func(context.Context, string, map[string]any) (agents.Result, error) {
		return agents.Result{Output: "geo-1 Running"}, nil
	}}}
	require.NoError(t, command(t, "good", &log).Solve(t.Context(), agentstest.Brief(), cloud))
	require.Equal(t, map[string]any{"anomaly": true}, cloud.Accepted("detection"))
	require.Contains(t, log.String(), "protocol 1 hotel map[steps:100 timeSeconds:60]")
	require.Contains(t, log.String(), "got a geo-1 Running")
	require.Equal(t, int64(12), cloud.tokens)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mode string
		want error
		text string
	}{
		{"garbage", stdio.ErrGarbage, "I am thinking"},
		{"unknown", stdio.ErrGarbage, "sing"},
		{"exit", stdio.ErrExited, "exit status 3"},
		{"exit0", stdio.ErrExited, "exit status 0"},
		{"deaf", stdio.ErrExited, "closed its standard input"},
		{"line", stdio.ErrFlood, "a line of more than"},
		{"flood", stdio.ErrFlood, "in all"},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			err := command(t, tc.mode, &log).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			require.Equal(t, errs.Agent, errs.PartyOf(err))
		})
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	err := (&stdio.Command{Argv: []string{"/no/such/agent"}}).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{})
	require.ErrorIs(t, err, stdio.ErrStart)
}

func TestHang(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	idle := command(t, "hang", &log)
	idle.Limits.Idle = 200 * time.Millisecond
	require.ErrorIs(t, idle.Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{}), stdio.ErrHang)

	cause := errors.New("time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, cause)
	defer cancel()
	require.ErrorIs(t, command(t, "hang", &log).Solve(ctx, agentstest.Brief(), &agentstest.Cloud{}), cause)
}

func TestStubbornChildrenDie(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	require.NoError(t, command(t, "stubborn", &log).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{}))
	_, pid, ok := strings.Cut(strings.TrimSpace(log.String()), "child ")
	require.True(t, ok, log.String())
	n, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !proctree.Runs(n) }, 5*time.Second, 20*time.Millisecond)
}

func TestBudget(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	err := command(t, "greedy", &log).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{Steps: 5})
	require.ErrorIs(t, err, agents.ErrBudget)
	require.Contains(t, log.String(), "end: budget exhausted: steps")
}

// An agent that reports more than its budget is at its end.
func TestReportedBudget(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		budget agents.Budget
		want   string
	}{
		"tokens": {agents.Budget{Tokens: 11}, "budget exhausted: tokens (limit 11)"},
		"cost":   {agents.Budget{Cost: 0.25}, "budget exhausted: cost (limit 0.25 USD)"},
		"enough": {agents.Budget{Tokens: 12, Cost: 0.5}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			cloud := &meteredCloud{Cloud: &agentstest.Cloud{}, budget: tc.budget}
			err := command(t, "good", &log).Solve(t.Context(), agentstest.Brief(), cloud)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, agents.ErrBudget)
			require.ErrorContains(t, err, tc.want)
			require.Empty(t, cloud.Calls(), "what it asks for after that is not answered")
		})
	}
}

func TestTwice(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cloud := &agentstest.Cloud{}
	require.NoError(t, command(t, "twice", &log).Solve(t.Context(), agentstest.Brief(), cloud))
	require.Equal(t, 1, cloud.Duplicates())
	require.Contains(t, log.String(), "duplicate_submission")
}

func TestParallelCalls(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	require.NoError(t, command(t, "parallel", &log).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{}))
	require.Contains(t, log.String(), "answers 20")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("STDIO_TEST_SECRET", "hidden")
	t.Setenv("STDIO_TEST_SHARED", "shown")
	var log bytes.Buffer
	c := command(t, "environment", &log)
	c.Env = []string{"STDIO_TEST_SHARED"}
	require.NoError(t, c.Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{}))
	require.Contains(t, log.String(), "STDIO_TEST_SHARED=shown")
	require.NotContains(t, log.String(), "hidden")
	_, rest, ok := strings.Cut(log.String(), "entries 0 ")
	require.True(t, ok, log.String())
	require.NoDirExists(t, filepath.Clean(strings.TrimSpace(rest)))
}

func TestStderrIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	require.NoError(t, command(t, "stderr", &log).Solve(t.Context(), agentstest.Brief(), &agentstest.Cloud{}))
	require.Less(t, log.Len(), 11<<10)
	require.Contains(t, log.String(), "bytes more were dropped")
}

func TestRun(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := command(t, "exit", &log)
	require.ErrorIs(t, c.Run(t.Context(), nil, strings.NewReader("{}\n")), stdio.ErrExited)
	c = command(t, "exit0", &log)
	require.NoError(t, c.Run(t.Context(), nil, strings.NewReader("{}\n")))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, command(t, "hang", &log).Run(ctx, nil, strings.NewReader("{}\n")), context.DeadlineExceeded)
}
