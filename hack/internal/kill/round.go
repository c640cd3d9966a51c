package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/internal/leftover"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
)

// The victims.
const (
	parent       = "parent"
	controlPlane = "control-plane"
	aNode        = "node"
)

// Victims returns whom Prove kills.
func Victims() []string { return []string{parent, controlPlane, aNode} }

// killing says whom to kill, and when.
type killing struct {
	victim string
	// node is the number of the node, for aNode.
	node int
	// after is the moment, counted from the start of gameday; or, if it is 0, the start of a phase of the nth trial.
	after time.Duration
	trial int
	phase orchestrator.Phase
}

// name is the victim as errors call it.
func (k killing) name() string {
	if k.victim == aNode {
		return "node-" + strconv.Itoa(k.node)
	}
	return k.victim
}

// Report is what one round found.
type Report struct {
	Name, Victim  string
	KilledAt      time.Duration
	Place         string
	Before, After int // finished trials before the kill, and how many of them are unchanged
	Left          leftover.Remains
	Code          int
	Said, Then    string
	Err           error
}

// Line is the report as a line of a table.
func (r Report) Line() string {
	then := r.Then
	if r.Err != nil {
		then = "FAILED: " + strings.ReplaceAll(r.Err.Error(), "\n", " ")
	}
	return fmt.Sprintf("| %s\t| %.1f s\t| %s\t| %d\t| %d\t| %s\t| %d\t| %s\t| %s\t|", r.Victim, r.KilledAt.Seconds(), r.Place, r.Before, r.After,
		r.Left.Cells(), r.Code, r.Said, then)
}

// round plays a run, kills, and looks at everything.
func (a *arena) round(ctx context.Context, id string, k killing) Report {
	out := Report{Name: id, Victim: k.name()}
	r, err := a.start(id)
	if err != nil {
		out.Err = err
		return out
	}
	defer func() {
		select {
		case <-r.done:
		default:
			_ = r.cmd.Process.Signal(os.Interrupt)
			<-r.done
		}
	}()
	before, err := a.strike(ctx, r, k, &out)
	if err != nil {
		out.Err = err
		return out
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		out.Err = context.Cause(ctx)
		return out
	}
	out.Code = r.cmd.ProcessState.ExitCode()
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		out.Code = 128 + int(status.Signal())
	}
	out.Left = r.tree.Left()
	if out.Left.Count() > 0 {
		err = fmt.Errorf("left behind: %s", out.Left)
	}
	out.Err = errors.Join(err, a.judge(r, k, before, &out))
	return out
}

// strike waits for the moment and kills. It returns what trials.jsonl held just before.
func (a *arena) strike(ctx context.Context, r *run, k killing, out *Report) ([]byte, error) {
	if k.after > 0 {
		select {
		case <-time.After(k.after - time.Since(r.began)):
		case <-r.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	} else if !r.reach(ctx, k.trial, k.phase) {
		return nil, fmt.Errorf("the run ended before trial %d, %s: %s", k.trial, k.phase, r.story())
	}
	words := []string{"control-plane"}
	if k.victim == aNode {
		words = []string{"node", k.name()}
	}
	// Between two trials there is no cluster: the next one that comes up is hit.
	for {
		select {
		case <-r.done:
			return nil, fmt.Errorf("the run ended after %s, before the kill", time.Since(r.began).Round(time.Millisecond))
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		default:
		}
		pid := r.cmd.Process.Pid
		if k.victim != parent {
			if pid = r.tree.Member(r.cmd.Process.Pid, words...); pid == 0 {
				time.Sleep(10 * time.Millisecond)
				continue
			}
		}
		r.tree.Look(r.cmd.Process.Pid)
		before, _ := os.ReadFile(filepath.Join(a.runs(), r.id, results.TrialsFile))
		out.KilledAt = time.Since(r.began)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return nil, fmt.Errorf("kill %s: %w", k.name(), err)
		}
		out.Place, _ = r.place()
		out.Before = bytes.Count(before, []byte("\n"))
		return before, nil
	}
}

// judge holds what is on the disk against what should be.
func (a *arena) judge(r *run, k killing, before []byte, out *Report) error {
	dir := filepath.Join(a.runs(), r.id)
	if _, err := os.Stat(filepath.Join(dir, results.RunFile)); os.IsNotExist(err) && k.victim == parent {
		out.Said, out.Then = "nothing yet: no run directory was there", "-"
		return nil
	}
	if err := a.intact(r.id, before, out); err != nil {
		return err
	}
	if k.victim == parent {
		return a.judgeParent(r, before, out)
	}
	return a.judgeCluster(dir, k, out)
}

// intact checks that the lines that were there are unchanged, and that they are graded again to the same scores.
func (a *arena) intact(id string, before []byte, out *Report) error {
	dir := filepath.Join(a.runs(), id)
	now, err := os.ReadFile(filepath.Join(dir, results.TrialsFile))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if !bytes.HasPrefix(now, before) {
		return errors.New("the records of finished trials have changed")
	}
	data, err := results.Load(dir)
	if err != nil {
		return err
	}
	whole := 0
	for _, t := range data.Trials {
		var alone results.TrialRecord
		if err := results.ReadTrialFile(dir, t, results.TrialFile, &alone); err != nil {
			return err
		}
		if alone.Status != t.Status || !alone.FinishedAt.Equal(t.FinishedAt) {
			return fmt.Errorf("trial %s: trial.json and trials.jsonl differ", t.Dir)
		}
		whole++
	}
	out.After = min(out.Before, whole)
	if out.After < out.Before {
		return fmt.Errorf("%d of %d finished trials are left", whole, out.Before)
	}
	code, _, stderr, err := a.call("score", id)
	if err != nil {
		return err
	}
	if code != 0 || !strings.Contains(stderr, ", 0 changes") {
		return fmt.Errorf("gameday score: exit code %d: %s", code, stderr)
	}
	return nil
}

// judgeParent: the run is interrupted, tolerates a line that was cut off, and goes on to its end when it is resumed.
func (a *arena) judgeParent(r *run, before []byte, out *Report) error {
	dir := filepath.Join(a.runs(), r.id)
	data, err := results.Load(dir)
	if err != nil {
		return err
	}
	out.Said = string(data.Run.Status)
	if killed, err := data.Killed(); err != nil {
		return err
	} else if len(killed) > 0 {
		out.Said += "; unfinished: " + killed[0].String()
	}
	if data.Run.Status == results.RunFinished {
		out.Then = "it had finished"
		return nil
	}
	if data.Run.Status != results.RunInterrupted || !strings.Contains(data.Run.Error.Hint, "gameday resume "+r.id) {
		return fmt.Errorf("the run says %s", data.Run.Status)
	}
	if err := tear(filepath.Join(dir, results.TrialsFile)); err != nil {
		return err
	}
	code, _, stderr, err := a.call("resume", r.id, "--progress", "plain")
	if err != nil {
		return err
	}
	if data, err = results.Load(dir); err != nil {
		return err
	}
	summary := results.Summarize(data.Run, data.Trials)
	out.Then = fmt.Sprintf("resumed: exit code %d, %d/%d scored", code, summary.Scored, summary.Planned)
	if code != 0 || summary.Scored != a.trials() {
		return fmt.Errorf("gameday resume: %s: %s", out.Then, stderr)
	}
	return a.intact(r.id, before, out)
}

// tear adds half a line, as a write that the end of the process cut off would.
func tear(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(`{"schemaVersion":1,"problem":"hotel-sca`); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// judgeCluster: the trial is an infra_error that names the process, or was decided already; it was tried again, and the run
// went to its end. Where further tries failed by themselves, the run has to say so with its exit code.
func (a *arena) judgeCluster(dir string, k killing, out *Report) error {
	data, err := results.Load(dir)
	if err != nil {
		return err
	}
	summary := results.Summarize(data.Run, data.Trials)
	out.Then = fmt.Sprintf("%s, %d/%d scored, %d retried", data.Run.Status, summary.Scored, summary.Planned, summary.Retries)
	busy := false // The gates of a trial need a machine that is not busy: that is not the kill's doing.
	for _, t := range data.Trials {
		if t.Status != results.InfraError {
			busy = busy || t.Status == results.FaultNotLive
			continue
		}
		first, _, _ := strings.Cut(t.Error.Message, "\n")
		if !strings.Contains(first, k.name()) || !strings.Contains(first, "killed") {
			out.Then += fmt.Sprintf("; %s failed by itself: %s", t.Dir, first)
			busy = true
			continue
		}
		out.Said = fmt.Sprintf("%s (party %s): %s", t.Status, t.Error.Party, first)
		if t.Error.Party != "infra" || !strings.Contains(t.Error.Hint, "the last words of "+k.name()+":") {
			return fmt.Errorf("the record says party %s, hint %q", t.Error.Party, t.Error.Hint)
		}
	}
	if out.Said == "" {
		if out.Said, err = decided(dir, k); err != nil {
			return err
		}
	}
	if busy && out.Code == errs.ExitIncomplete && data.Run.Status == results.RunFinished {
		return nil
	}
	if out.Code != 0 || data.Run.Status != results.RunFinished || summary.Scored != a.trials() {
		return fmt.Errorf("the run ended with exit code %d: %s", out.Code, out.Then)
	}
	return nil
}

// decided finds the note of a trial whose cluster broke down when its evidence had been taken.
func decided(dir string, k killing) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "trials", "*", "*", "*", results.EventsFile))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if bytes.Contains(data, []byte("after the evidence was taken: cluster broke down: run "+k.name())) {
			return "note: after the evidence was taken: cluster broke down", nil
		}
	}
	return "", fmt.Errorf("no record names %s", k.name())
}
