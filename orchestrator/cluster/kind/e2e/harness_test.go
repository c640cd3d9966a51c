//go:build kind

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/procx"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind/kindtest"
	"github.com/gameday-bench/gameday/results"
)

// harness is gameday as people call it, with directories of its own.
type harness struct {
	binary  string
	runtime string // XDG_RUNTIME_DIR
	runs    string
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{binary: filepath.Join(binaries(t), "gameday"), runtime: kindtest.RuntimeDir(t), runs: t.TempDir()}
	// A test that fails must not leave its clusters to the next one.
	t.Cleanup(func() { h.deleteAll(t) })
	return h
}

// command is a gameday that is told to end when ctx does, and to be started with procx: no terminal interrupts it, and it does not outlive the
// test.
func (h *harness) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+h.runtime, "NO_COLOR=1")
	return cmd
}

// within is limit, or less where the test binary ends before: what was begun has to be taken down then.
func within(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	if end, bounded := t.Deadline(); bounded {
		limit = min(limit, time.Until(end)-grace-grace/2)
	}
	return max(limit, grace/2)
}

// call runs gameday to its end.
func (h *harness) call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return h.callFor(t, patience, args...)
}

// callFor is call for what may take so long. After that gameday is told to end, so that it takes down what it has, and the test fails.
func (h *harness) callFor(t *testing.T, limit time.Duration, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	limit = within(t, limit)
	// The test's own context is over when it cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := h.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, procx.Start(cmd))
	err := cmd.Wait()
	require.NoError(t, ctx.Err(), "gameday %s did not end within %s: %s", strings.Join(args, " "), limit, errs.String())
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// deleteAll removes every cluster that belongs to no run, and holds gameday to it.
func (h *harness) deleteAll(t *testing.T) {
	t.Helper()
	code, _, stderr := h.call(t, "delete", "cluster", "--all")
	require.Zero(t, code, stderr)
	require.Empty(t, containers(t, "", ""), "gameday delete cluster --all: %s", stderr)
}

// load reads the records of a run.
func (h *harness) load(t *testing.T, id string) *results.Data {
	t.Helper()
	data, err := results.Load(filepath.Join(h.runs, id))
	require.NoError(t, err)
	return data
}

// play is a run under way.
type play struct {
	cmd *exec.Cmd
	// done is closed when the process has ended and all that it said is read.
	done chan struct{}

	mu     sync.Mutex
	phases []orchestrator.Phase // that have begun
	rest   []string             // what it said besides events
	news   chan struct{}        // closed and made anew with each event
}

const (
	// patience is how long a run may take to come to a phase, or to its end: clusters take minutes on a small machine.
	patience = 20 * time.Minute
	// grace is how long gameday may take to take down what it has.
	grace = 80 * time.Second
)

// small is a cluster for runs that are broken off: it is up sooner.
const small = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}]
`

// startSmall is start on a small cluster, whose trial is not tried again.
func (h *harness) startSmall(t *testing.T, id string) *play {
	t.Helper()
	file := filepath.Join(t.TempDir(), "small.yaml")
	require.NoError(t, os.WriteFile(file, []byte(small), 0o600))
	return h.start(t, id, "--kind-config", file, "--infra-retries", "0")
}

// start starts a run of one problem on a kind cluster. Deadlines are stretched: it shares the machine with its cluster.
func (h *harness) start(t *testing.T, id string, args ...string) *play {
	t.Helper()
	args = slices.Concat([]string{"run", "hotel-scaled-to-zero", "--agent", "nop", "--run-id", id, "--out", h.runs, "--progress", "json",
		"--timeout-multiplier", "3"}, kindFlags(), args)
	p := &play{cmd: h.command(context.Background(), args...), done: make(chan struct{}), news: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, procx.Start(p.cmd))
	go p.follow(stderr)
	t.Cleanup(func() {
		for _, s := range []os.Signal{os.Interrupt, os.Kill} {
			_ = p.cmd.Process.Signal(s) // One that has ended takes none.
			select {
			case <-p.done:
				return
			case <-time.After(grace):
			}
		}
		<-p.done
	})
	return p
}

func (p *play) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e orchestrator.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Type == "" {
			p.take(func() { p.rest = append(p.rest, lines.Text()) })
			continue
		}
		if e.Type == orchestrator.PhaseStarted {
			p.take(func() { p.phases = append(p.phases, e.Phase) })
		}
	}
	_ = p.cmd.Wait() // The exit code is in ProcessState.
	close(p.done)
}

func (p *play) take(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.news)
	p.news = make(chan struct{})
}

// said is what the run said besides events.
func (p *play) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.rest, "\n")
}

// reach waits until the run has come to a phase.
func (p *play) reach(t *testing.T, phase orchestrator.Phase) {
	t.Helper()
	limit := within(t, patience)
	late := time.After(limit)
	for {
		p.mu.Lock()
		there, news := slices.Contains(p.phases, phase), p.news
		p.mu.Unlock()
		if there {
			return
		}
		select {
		case <-news:
		case <-p.done:
			t.Fatalf("the run ended before %s: %s", phase, p.said())
		case <-late:
			t.Fatalf("the run did not come to %s within %s: %s", phase, limit, p.said())
		}
	}
}

// end waits for the end of the run and returns its exit code, -1 where a signal ended it.
func (p *play) end(t *testing.T) int {
	t.Helper()
	limit := within(t, patience)
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("the run did not end within %s: %s", limit, p.said())
		return 0
	}
}
