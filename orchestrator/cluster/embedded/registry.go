package embedded

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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// Info describes a cluster of this user.
type Info struct {
	Name       string    `json:"name"`
	Status     string    `json:"status"` // running, or stale where its owner is gone
	Kubeconfig string    `json:"kubeconfig"`
	Owner      int       `json:"owner"` // process id of the parent
	Created    time.Time `json:"created"`
	Dir        string    `json:"dir"`
	// Supervised is false for the cluster of a run, which ends with its run.
	Supervised bool `json:"supervised"`
}

// owner identifies the parent process beyond the reuse of its process id.
type owner struct {
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot
	Created time.Time `json:"created"`
	// Supervised is true for a cluster that was created to be kept, false for one that belongs to a run.
	Supervised bool `json:"supervised"`
}

const ownerFile = "owner.json"

func writeOwner(dir string, supervised bool) error {
	start, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	data, err := json.Marshal(owner{PID: os.Getpid(), Start: start, Created: time.Now().UTC(), Supervised: supervised})
	if err != nil {
		return fmt.Errorf("encode owner: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, ownerFile), data, 0o600)
}

func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read process %d: %w", pid, err)
	}
	// The command in field 2 may hold spaces and parentheses: count from the last one.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("read process %d: %d fields in stat", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// List returns the clusters of this user, sorted by name.
func List() ([]Info, error) {
	entries, err := os.ReadDir(BaseDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errs.With(errs.Infra, fmt.Errorf("list clusters: %w", err))
	}
	var out []Info
	for _, e := range entries {
		dir := filepath.Join(BaseDir(), e.Name())
		info := Info{Name: e.Name(), Status: "stale", Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig", "admin")}
		var o owner
		if data, err := os.ReadFile(filepath.Join(dir, ownerFile)); err == nil && json.Unmarshal(data, &o) == nil {
			info.Owner, info.Created, info.Supervised = o.PID, o.Created, o.Supervised
			if start, err := startTime(o.PID); err == nil && start == o.Start {
				info.Status = "running"
			}
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Supervise brings up a cluster, writes one line of JSON to out when it is ready or has failed, and keeps it until ctx
// ends or the cluster breaks.
func Supervise(ctx context.Context, want cluster.Spec, out io.Writer) error {
	c, err := (&Provider{}).Up(ctx, want)
	if err == nil {
		err = writeOwner(filepath.Join(BaseDir(), c.Name()), true)
	}
	if err != nil {
		report, _ := json.Marshal(event{Event: "failed", Error: err.Error()})
		fmt.Fprintln(out, string(report))
		return err
	}
	fmt.Fprintln(out, `{"event":"ready"}`)
	select {
	case <-ctx.Done():
	case <-c.Done():
	}
	return errors.Join(c.Err(), c.Down(context.WithoutCancel(ctx)))
}

// Create starts a cluster that outlives this process: argv is the command line that ends up in Supervise for want.
// It returns when the cluster is ready.
func Create(ctx context.Context, want cluster.Spec, argv []string) (Info, error) {
	if info, err := lookup(want.Name); err == nil {
		return Info{}, errs.Hint(errs.Newf(errs.Usage, "create cluster %q: it exists (%s)", want.Name, info.Status),
			"choose another name, or run: gameday delete cluster %s", want.Name)
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
		e := event{Event: "failed", Error: "the supervisor ended without a word"}
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
			return Info{}, errs.Newf(errs.Infra, "create cluster: %s", e.Error)
		}
	}
	if err := cmd.Process.Release(); err != nil {
		return Info{}, fmt.Errorf("release supervisor: %w", err)
	}
	return lookup(want.Name)
}

func lookup(name string) (Info, error) {
	all, err := List()
	if err != nil {
		return Info{}, err
	}
	if i := slices.IndexFunc(all, func(c Info) bool { return c.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Info{}, errs.Newf(errs.Usage, "find cluster %q: no such cluster", name)
}

// Delete ends the cluster called name and removes what is left of it. A cluster that does not exist is no error.
func Delete(ctx context.Context, name string) error {
	info, err := lookup(name)
	if err != nil {
		if errs.PartyOf(err) == errs.Usage {
			return nil
		}
		return err
	}
	if info.Status == "running" && !info.Supervised {
		return errs.Hint(errs.Newf(errs.Usage, "delete cluster %s: it belongs to a run (process %d)", name, info.Owner),
			"stop that run instead; it takes its cluster down")
	}
	if info.Status == "running" {
		if err := syscall.Kill(info.Owner, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return errs.With(errs.Infra, fmt.Errorf("stop cluster %s: %w", name, err))
		}
		if err := waitGone(ctx, info); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(info.Dir); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("remove cluster %s: %w", name, err))
	}
	return nil
}

// waitGone waits until the owner has ended, and kills it when it takes too long.
func waitGone(ctx context.Context, info Info) error {
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := lookup(info.Name); err != nil || now.Status != "running" {
			return nil
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
