package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// event is the one line that a supervisor writes: ready, or failed with the error.
type event struct {
	Event string     `json:"event"`
	Error string     `json:"error,omitempty"`
	Hint  string     `json:"hint,omitempty"`
	Party errs.Party `json:"party,omitempty"`
}

// Supervise brings up a cluster, writes one line of JSON to out when it is ready or has failed, and keeps it until ctx ends or the
// cluster breaks. It returns when the cluster is down.
func Supervise(ctx context.Context, p cluster.Provider, want cluster.Spec, out io.Writer) error {
	c, err := p.Up(ctx, want)
	if err == nil {
		err = keep(filepath.Join(BaseDir(), c.Name()))
	}
	if err != nil {
		report, _ := json.Marshal(event{Event: "failed", Error: err.Error(), Hint: errs.HintOf(err), Party: errs.PartyOf(err)})
		fmt.Fprintln(out, string(report))
		if c != nil {
			err = errors.Join(err, c.Down(context.WithoutCancel(ctx)))
		}
		return err
	}
	fmt.Fprintln(out, `{"event":"ready"}`)
	select {
	case <-ctx.Done():
	case <-c.Done():
	}
	return errors.Join(c.Err(), c.Down(context.WithoutCancel(ctx)))
}

// keep marks the cluster in dir, which is this process's, as one that was created to be kept.
func keep(dir string) error {
	o, err := readOwner(dir)
	if err != nil {
		return err
	}
	o.Supervised = true
	return o.write(dir)
}

// Create starts a cluster that outlives this process: argv is the command line that ends up in Supervise for the cluster called
// name. It returns when the cluster is ready.
func Create(ctx context.Context, name string, argv []string) (Info, error) {
	if info, err := Find(name); err == nil {
		return Info{}, errs.Hint(errs.Newf(errs.Usage, "create cluster %q: it exists (%s)", name, info.Status),
			"choose another name, or run: gameday delete cluster %s", name)
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // It outlives this process.
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Info{}, fmt.Errorf("make pipe to supervisor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return Info{}, errs.With(errs.Infra, fmt.Errorf("start supervisor: %w", err))
	}
	first := make(chan event, 1)
	go func() {
		e := event{Event: "failed", Error: "the supervisor ended without a word", Party: errs.Infra}
		if line, err := bufio.NewReader(stdout).ReadBytes('\n'); err == nil {
			_ = json.Unmarshal(line, &e)
		}
		first <- e
	}()
	select {
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		return Info{}, errs.With(errs.Interrupted, fmt.Errorf("create cluster: %w", context.Cause(ctx)))
	case e := <-first:
		if e.Event != "ready" {
			_ = cmd.Wait()
			return Info{}, e.failure()
		}
	}
	if err := cmd.Process.Release(); err != nil {
		return Info{}, fmt.Errorf("release supervisor: %w", err)
	}
	return Find(name)
}

// failure is the supervisor's error as this process's own.
func (e event) failure() error {
	party := e.Party
	if party == "" {
		party = errs.Infra
	}
	err := errs.Newf(party, "create cluster: %s", e.Error)
	if e.Hint == "" {
		return err
	}
	return errs.Hint(err, "%s", e.Hint)
}

// Delete ends a cluster that is kept for people, and removes its directory. Its owner has grace to take it down before it is killed. The
// cluster of a run that goes on is refused, with party usage.
func Delete(ctx context.Context, info Info, grace time.Duration) error {
	if info.Status == Running && !info.Supervised {
		return errs.Hint(errs.Newf(errs.Usage, "delete cluster %s: it belongs to a run (process %d)", info.Name, info.Owner),
			"stop that run instead; it takes its cluster down")
	}
	if info.Status == Running {
		if err := syscall.Kill(info.Owner, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return errs.With(errs.Infra, fmt.Errorf("stop cluster %s: %w", info.Name, err))
		}
		if err := waitGone(ctx, info, grace); err != nil {
			return err
		}
	}
	if info.Dir == "" {
		return nil
	}
	if err := os.RemoveAll(info.Dir); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("remove cluster %s: %w", info.Name, err))
	}
	return nil
}

// waitGone waits until the owner has ended, and kills it when it takes longer than grace.
func waitGone(ctx context.Context, info Info, grace time.Duration) error {
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := Find(info.Name); err != nil || now.Status != Running || now.Owner != info.Owner {
			return nil // A cluster that is not found is gone.
		}
		select {
		case <-ctx.Done():
			return errs.With(errs.Interrupted, fmt.Errorf("wait for cluster %s: %w", info.Name, context.Cause(ctx)))
		case <-deadline.C:
			_ = syscall.Kill(info.Owner, syscall.SIGKILL)
		case <-tick.C:
		}
	}
}
