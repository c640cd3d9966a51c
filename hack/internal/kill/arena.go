// Package kill plays real runs, kills one of their processes, and looks at what is left and at what the run says.
package kill

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/internal/leftover"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/results"
)

// arena is where runs are played: everything that they write is below one directory.
type arena struct {
	dir    string
	binary string
	// agents play the one problem, each so many times.
	agents   []string
	attempts int
}

func newArena(dir string, agents []string, attempts int) (*arena, error) {
	binaries, err := embedded.FindBinaries()
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	return &arena{dir: dir, binary: filepath.Join(filepath.Dir(binaries.Cluster), "gameday"), agents: agents, attempts: attempts}, nil
}

// trials is how many trials a run has.
func (a *arena) trials() int { return len(a.agents) * a.attempts }

// home is where clusters and all temporary directories of the runs are; runs is where results are.
func (a *arena) home() leftover.Home { return leftover.Home(a.dir) }
func (a *arena) runs() string        { return filepath.Join(a.dir, "runs") }

// command is gameday with its directories below the arena's.
func (a *arena) command(args ...string) (*exec.Cmd, error) {
	environ, err := a.home().Environ()
	if err != nil {
		return nil, err
	}
	// No context kills it: whoever waits for it interrupts it in order. No terminal does, either: it would be the second time.
	cmd := exec.CommandContext(context.Background(), a.binary, append(args, "--out", a.runs())...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = environ
	return cmd, nil
}

// call runs gameday to its end and returns its exit code and output.
func (a *arena) call(args ...string) (code int, stdout, stderr string, err error) {
	cmd, err := a.command(args...)
	if err != nil {
		return 0, "", "", err
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String(), err
}

// run is a run of gameday under way.
type run struct {
	id    string
	cmd   *exec.Cmd
	began time.Time
	tree  *leftover.Tree
	done  chan struct{} // closed when the process has ended and all that it said is read

	mu       sync.Mutex
	events   []orchestrator.Event
	rest     []string      // what it said besides events
	news     chan struct{} // closed and made anew with each event
	trial    int           // trials and retries that have begun
	phase    orchestrator.Phase
	finished int
}

// start starts a run that is to be killed: one problem, two trials or so.
func (a *arena) start(id string) (*run, error) {
	args := []string{"run", "hotel-scaled-to-zero", "--run-id", id, "--progress", "json", "--infra-retries", "2", "--timeout-multiplier", "3", "--attempts", strconv.Itoa(a.attempts)}
	for _, agent := range a.agents {
		args = append(args, "--agent", agent)
	}
	cmd, err := a.command(args...)
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	r := &run{id: id, cmd: cmd, began: time.Now(), news: make(chan struct{}), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start gameday: %w", err)
	}
	r.tree = leftover.Watch(cmd.Process.Pid, a.home())
	go r.follow(stderr)
	return r, nil
}

func (r *run) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e orchestrator.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Type == "" {
			r.mu.Lock()
			r.rest = append(r.rest, lines.Text())
			r.mu.Unlock()
			continue
		}
		r.take(e)
	}
	_ = r.cmd.Wait() // The exit code is in ProcessState.
	r.tree.Stop()
	close(r.done)
}

func (r *run) take(e orchestrator.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	switch e.Type {
	case orchestrator.TrialStarted:
		r.trial++
		r.phase = ""
	case orchestrator.PhaseStarted:
		r.phase = e.Phase
	case orchestrator.TrialFinished:
		if results.Status(e.Message).Scored() {
			r.finished++
		}
		r.phase = "after it"
	}
	close(r.news)
	r.news = make(chan struct{})
}

// place is where the run is: "trial 2, deploy".
func (r *run) place() (text string, finished int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trial == 0 {
		return "before trial 1", 0
	}
	return strings.TrimSuffix(fmt.Sprintf("trial %d, %s", r.trial, r.phase), ", "), r.finished
}

// reach waits until the nth trial is in a phase. It is false when the run ended before.
func (r *run) reach(ctx context.Context, trial int, phase orchestrator.Phase) bool {
	for {
		r.mu.Lock()
		there, news := r.trial == trial && r.phase == phase, r.news
		r.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-news:
		case <-r.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// story is what the run told of its trials' ends, for an error.
func (r *run) story() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		if e.Type == orchestrator.TrialFinished || e.Type == orchestrator.TrialRetried {
			all = append(all, strings.TrimSpace(e.Trial+": "+e.Message+" "+e.Error))
		}
	}
	return strings.Join(append(all, r.rest...), "; ")
}

// unharmed plays a run that nobody kills and returns how long it took.
func (a *arena) unharmed(ctx context.Context) (time.Duration, error) {
	r, err := a.start("unharmed")
	if err != nil {
		return 0, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = r.cmd.Process.Signal(os.Interrupt)
		<-r.done
	}
	took := time.Since(r.began)
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		return 0, fmt.Errorf("the unharmed run ended with exit code %d: %s", code, strings.Join(r.rest, "\n"))
	}
	if left := r.tree.Left(); left.Count() > 0 {
		return 0, fmt.Errorf("the unharmed run left behind: %s", left)
	}
	return took, nil
}
