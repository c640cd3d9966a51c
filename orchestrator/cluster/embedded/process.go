package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/procx"
)

// process is one gameday-cluster child: the control plane or a node.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	ready   chan struct{} // closed on the ready event
	exited  chan struct{} // closed after Wait; exit and failure are set before
	failure string        // what the process itself said before it failed
	exit    error
}

// event is a line that a child writes to its stdout.
type event struct {
	Event string `json:"event"`
	Error string `json:"error,omitempty"`
}

// startProcess runs binary with args, its log appended to logPath. The environment is clean: libraries that are linked
// into the child read common variable names.
func startProcess(name, binary string, args []string, dir, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(binary, args...) //nolint:noctx // It runs until it is stopped, long after the start.
	cmd.Dir = dir
	cmd.Env = childEnv(dir)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe to %s: %w", name, err)
	}
	if err := procx.Start(cmd); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, logPath: logPath, ready: make(chan struct{}), exited: make(chan struct{})}
	go p.follow(stdout)
	return p, nil
}

// childEnv is the whole environment of a child. GAMEDAY_DEBUG_ variables pass, for profiles.
func childEnv(dir string) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + filepath.Join(dir, "tmp")}
	if cache, err := os.UserCacheDir(); err == nil {
		env = append(env, "XDG_CACHE_HOME="+cache)
	}
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "GAMEDAY_DEBUG_") {
			env = append(env, kv)
		}
	}
	return env
}

// follow reads the child's events until it exits.
func (p *process) follow(stdout io.Reader) {
	readyOnce := sync.OnceFunc(func() { close(p.ready) })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Event {
		case "ready":
			readyOnce()
		case "failed":
			p.failure = e.Error
		}
	}
	_, _ = io.Copy(io.Discard, stdout)
	p.exit = p.cmd.Wait()
	close(p.exited)
}

// waitReady returns when the process has said that it is ready, or with why it is not.
func (p *process) waitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return p.death()
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w\n%s", p.name, context.Cause(ctx), lastWords(p.logPath))
	}
}

// death describes an exit that nobody asked for. Call it after exited is closed.
func (p *process) death() error {
	if p.failure != "" {
		return fmt.Errorf("run %s: %s", p.name, p.failure)
	}
	how, hint := "exited", ""
	if p.exit != nil {
		how = p.exit.Error()
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
		hint = "it was killed from outside: memory may have run out (dmesg tells), or somebody did it\n"
	}
	err := fmt.Errorf("run %s: process %d ended (%s)", p.name, p.cmd.Process.Pid, how)
	return errs.Hint(err, "%sthe last words of %s:\n%s", hint, p.name, lastWords(p.logPath))
}

// stop asks the process to end, and after grace kills its whole group.
func (p *process) stop(grace time.Duration) {
	_ = procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(grace):
	}
	p.kill()
}

func (p *process) kill() {
	_ = procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}
