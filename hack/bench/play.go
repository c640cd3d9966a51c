package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/internal/leftover"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/processor"
	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/results"
)

// grace is how long a run may take to end after it was interrupted.
const grace = 3 * time.Minute

// player plays whole runs through the command line, so that the start of the process is in the figures.
type player struct {
	binary string
	// dir keeps the run directories, and beside each what its command said.
	dir string
}

// player makes the directory of the runs when the first row wants one.
func (b *bench) player() (*player, error) {
	if b.out == "" {
		dir, err := os.MkdirTemp("", "gameday-bench-")
		if err != nil {
			return nil, fmt.Errorf("make directory of runs: %w", err)
		}
		b.out = dir
		fmt.Fprintf(os.Stderr, "runs are kept in %s\n", dir)
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return nil, fmt.Errorf("make directory of runs: %w", err)
	}
	return &player{binary: filepath.Join(os.Getenv("GAMEDAY_BIN_DIR"), "gameday"), dir: b.out}, nil
}

// game is one run: its id, the arguments of gameday, and when to interrupt it.
type game struct {
	id    string
	args  []string
	limit <-chan time.Time
	// weigh samples the memory of the processes, which takes processor time itself.
	weigh bool
	// roots, where it is set, returns processes outside of the run's own tree that belong to it, with all below them: those of
	// containers. Whoever cannot tell returns none.
	roots func() []int
}

// outcome is what a run took, what it recorded, and how it ended.
type outcome struct {
	took      time.Duration
	processor processor.Times
	memory    int64 // the most at one time
	data      *results.Data
	// stopped says that the limit ended it; left is what it left behind.
	stopped bool
	left    leftover.Remains
}

// cores is how many cores of the machine were busy.
func (o outcome) cores() float64 { return o.processor.Busy.Seconds() / o.took.Seconds() }

// steal is the share of the cores' time that the host gave to other guests, for a note.
func (o outcome) steal() string {
	share, ok := o.processor.Steal()
	if !ok {
		return "steal unknown"
	}
	return fmt.Sprintf("steal %.1f %%", 100*share)
}

// play plays a run to its end. A run that its limit stops, or that has trials without a grade, is no error: its records say so.
func (p *player) play(ctx context.Context, g game) (o outcome, err error) {
	if _, err := os.Stat(filepath.Join(p.dir, g.id)); err == nil {
		return o, fmt.Errorf("play run %s: it is in %s already: name another directory with -out", g.id, p.dir)
	}
	// Not below p.dir, whose name may be too long for sockets.
	dir, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "gb-")
	if err != nil {
		return o, fmt.Errorf("make directory of runs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	home := leftover.Home(dir)
	cmd, log, err := p.command(home, g)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	before, err := processor.Read()
	if err != nil {
		return o, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return o, fmt.Errorf("start gameday: %w", err)
	}
	o.memory, o.stopped, err = await(ctx, cmd, g)
	o.took = time.Since(began)
	after, readErr := processor.Read()
	o.processor, o.left = after.Since(before), home.Left()
	if err := errors.Join(err, readErr, context.Cause(ctx)); err != nil {
		return o, fmt.Errorf("play run %s: %w", g.id, err)
	}
	code := cmd.ProcessState.ExitCode()
	if told := code == errs.ExitOK || code == errs.ExitIncomplete || o.stopped && code == errs.ExitInterrupted; !told {
		return o, fmt.Errorf("play run %s: exit code %d: %s", g.id, code, lastLine(log.Name()))
	}
	o.data, err = results.Load(filepath.Join(p.dir, g.id))
	return o, err
}

// command is gameday with its output in a file. It has a process group of its own: the interrupt of a terminal reaches it once,
// through await; a second one would stop it at once.
func (p *player) command(home leftover.Home, g game) (*exec.Cmd, *os.File, error) {
	environ, err := home.Environ()
	if err != nil {
		return nil, nil, err
	}
	log, err := os.Create(filepath.Join(p.dir, g.id+".log"))
	if err != nil {
		return nil, nil, fmt.Errorf("make log of run: %w", err)
	}
	// No context kills it: it is interrupted in order.
	cmd := exec.CommandContext(context.Background(), p.binary, append(g.args, "--out", p.dir, "--run-id", g.id, "--progress", "plain")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, log, log
	return cmd, log, nil
}

// await waits for the end of a command, which ctx or the limit may hasten. The error is that of a command that would not end;
// what its exit code means is for others to say.
func await(ctx context.Context, cmd *exec.Cmd, g game) (memory int64, stopped bool, err error) {
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // The exit code is in ProcessState.
		close(done)
	}()
	var tick <-chan time.Time
	if g.weigh {
		ticker := time.NewTicker(g.weighEvery())
		defer ticker.Stop()
		tick = ticker.C
	}
	over, limit := ctx.Done(), g.limit
	var late <-chan time.Time
	interrupt := func() {
		over, limit, late = nil, nil, time.After(grace)
		_ = cmd.Process.Signal(os.Interrupt) // One that has ended meanwhile is done.
	}
	for {
		select {
		case <-done:
			return memory, stopped, err
		case <-tick:
			memory = max(memory, g.weight(cmd.Process.Pid))
		case <-over:
			interrupt()
		case <-limit:
			stopped = true
			interrupt()
		case <-late:
			err = fmt.Errorf("it did not end within %s after it was interrupted", grace)
			_ = cmd.Process.Kill() // Its tree ends with it.
		}
	}
}

// weighEvery is how often the memory is sampled. Whoever asks a container engine for roots does so less often.
func (g game) weighEvery() time.Duration {
	if g.roots != nil {
		return 2 * time.Second
	}
	return 500 * time.Millisecond
}

// weight is the memory of a run's processes now, 0 where it cannot be told.
func (g game) weight(pid int) int64 {
	pids := []int{pid}
	if g.roots != nil {
		pids = append(pids, g.roots()...)
	}
	table, err := proctree.Table()
	if err != nil {
		return 0
	}
	var all []proctree.Process
	for _, root := range pids {
		all = append(all, proctree.Descendants(table, root)...)
	}
	return proctree.Measure(all).PSS
}

// lastLine is the end of what a command said.
func lastLine(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return "it said nothing"
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return lines[len(lines)-1]
}
