//go:build kind

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator"
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
	runtime, err := os.MkdirTemp("", "gk-") //nolint:usetesting // The name of t.TempDir is too long for the sockets below it.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(runtime)) })
	h := &harness{binary: filepath.Join(binaries(t), "gameday"), runtime: runtime, runs: t.TempDir()}
	// A test that fails must not leave its clusters to the next one.
	t.Cleanup(func() { h.deleteAll(t) })
	return h
}

// command is a gameday that no terminal interrupts.
func (h *harness) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+h.runtime, "NO_COLOR=1")
	return cmd
}

// call runs gameday to its end.
func (h *harness) call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
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

// patience is how long a run may take to come to a phase, or to its end: clusters take minutes on a small machine.
const patience = 20 * time.Minute

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
	p := &play{cmd: h.command(args...), done: make(chan struct{}), news: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.follow(stderr)
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			_ = p.cmd.Process.Signal(os.Interrupt)
			<-p.done
		}
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
	late := time.After(patience)
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
			t.Fatalf("the run did not come to %s within %s: %s", phase, patience, p.said())
		}
	}
}

// end waits for the end of the run and returns its exit code, -1 where a signal ended it.
func (p *play) end(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("the run did not end within %s: %s", patience, p.said())
		return 0
	}
}
