package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/results"
)

// measureTrials plays whole trials through the command line, so that the start of the process is in the figure.
func measureTrials(ctx context.Context, b *bench) ([]row, error) {
	dir, err := os.MkdirTemp("", "gameday-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	single, err := overhead(ctx, b, dir)
	if err != nil {
		return nil, err
	}
	rows = append(rows, single)
	for _, j := range []int{1, 2, 4} {
		r, err := trialsPerHour(ctx, dir, j)
		if err != nil {
			return rows, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// overhead is the wall clock of a whole `gameday run` of one trial with an agent that does nothing.
func overhead(ctx context.Context, b *bench, dir string) (row, error) {
	var took []time.Duration
	for i := range max(b.runs, 5) {
		began := time.Now()
		if _, err := gameday(ctx, dir, fmt.Sprintf("one-%d", i), "run", "hotel-wrong-target-port", "--agent", "nop"); err != nil {
			return row{}, err
		}
		took = append(took, time.Since(began))
	}
	middle := median(took)
	p95 := took[len(took)-1] // With fewer than twenty runs the nearest rank is the last.
	return row{
		Name: "overhead of one trial without the agent, process start included", Target: "<= 45 s", Measured: fmt.Sprintf("median %s, p95 %s", seconds(middle), seconds(p95)),
		Met: p95 <= 45*time.Second, Note: "runs: " + list(took),
	}, nil
}

// trialsPerHour plays eight trials, j at a time.
func trialsPerHour(ctx context.Context, dir string, j int) (row, error) {
	const trials = 8
	began := time.Now()
	usage, err := gameday(ctx, dir, "many-"+strconv.Itoa(j), "run", "hotel-wrong-target-port", "hotel-scaled-to-zero",
		"--agent", "nop", "--twins", "--attempts", "2", "-j", strconv.Itoa(j))
	if err != nil {
		return row{}, err
	}
	took := time.Since(began)
	data, err := results.Load(filepath.Join(dir, "many-"+strconv.Itoa(j)))
	if err != nil {
		return row{}, err
	}
	summary := results.Summarize(data.Run, data.Trials)
	return row{
		Name: fmt.Sprintf("trials per hour, -j %d", j), Target: "-", Measured: fmt.Sprintf("%.0f", trials/took.Hours()), Met: summary.Scored == trials,
		Note: fmt.Sprintf("%d of %d scored, %d retried; %.1f cores busy, at most %s", summary.Scored, trials, summary.Retries, usage.cpu.Seconds()/took.Seconds(), mebibytes(usage.memory)),
	}, nil
}

// usage is what a command and everything below it took.
type usage struct {
	cpu    time.Duration
	memory int64 // the most at one time
}

// gameday runs the command line into dir/runID, and samples its process tree.
func gameday(ctx context.Context, dir, runID string, args ...string) (usage, error) {
	bin := filepath.Join(os.Getenv("GAMEDAY_BIN_DIR"), "gameday")
	cmd := exec.CommandContext(ctx, bin, append(args, "--out", dir, "--run-id", runID, "--progress", "none", "-o", "json")...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	before, err := busy()
	if err != nil {
		return usage{}, err
	}
	if err := cmd.Start(); err != nil {
		return usage{}, fmt.Errorf("start gameday: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	u := usage{}
	for {
		select {
		case err := <-done:
			after, busyErr := busy()
			u.cpu = after - before
			if err != nil {
				err = fmt.Errorf("run gameday %s: %w: %s", strings.Join(args, " "), err, stderr.String())
			} else if !json.Valid([]byte(stdout.String())) {
				err = fmt.Errorf("run gameday %s: the output is not JSON", strings.Join(args, " "))
			}
			return u, errors.Join(err, busyErr)
		case <-time.After(500 * time.Millisecond):
			if table, err := proctree.Table(); err == nil {
				u.memory = max(u.memory, proctree.Measure(proctree.Descendants(table, cmd.Process.Pid)).PSS)
			}
		}
	}
}

// busy is the time that all cores of the machine have worked so far: processes that have ended are in it.
func busy() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor times: %w", err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(first) // cpu user nice system idle iowait irq softirq steal
	var ticks int64
	for i, f := range fields[1:] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor times: %w", err)
		}
		if i != 3 && i != 4 && i < 8 {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
