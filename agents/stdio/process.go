package stdio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/procx"
	"github.com/gameday-bench/gameday/internal/scratch"
)

// alwaysPassed are the environment variables that every agent gets.
var alwaysPassed = []string{"PATH", "LANG", "TZ"}

// process is a running agent.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr *boundedWriter
	dir    *scratch.Dir
	// copied is closed when the standard error has been read to its end.
	copied chan struct{}
	errIn  *os.File
}

// start starts the command in a process group of its own, with pipes that the harness can close at any time.
func (c *Command) start(limits Limits) (_ *process, err error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("no command")
	}
	dir, err := scratch.MakeTemp("gameday-agent-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	var opened []*os.File
	defer func() {
		if err != nil {
			for _, f := range opened {
				f.Close()
			}
			_ = dir.Remove()
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			if r, w, err = os.Pipe(); err == nil {
				opened = append(opened, r, w)
			}
		}
		return r, w
	}
	inR, inW := pipe()
	outR, outW := pipe()
	errR, errW := pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipes: %w", err)
	}
	// No context kills it: interrupt and reap end the whole group, in order.
	cmd := exec.CommandContext(context.Background(), c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env = dir.Path(), c.environ(dir.Path())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
	if err = procx.Start(cmd); err != nil {
		return nil, err
	}
	// Should the harness be killed, so is all that the agent has started.
	if err = dir.Guard(cmd.Process.Pid); err != nil {
		_ = procx.SignalGroup(cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		return nil, err
	}
	for _, f := range []*os.File{inR, outW, errW} {
		f.Close()
	}
	to := c.Stderr
	if to == nil {
		to = io.Discard
	}
	p := &process{
		cmd: cmd, stdin: inW, stdout: outR, errIn: errR, dir: dir,
		stderr: &boundedWriter{to: to, left: limits.Stderr}, copied: make(chan struct{}),
	}
	go func() {
		defer close(p.copied)
		_, _ = io.Copy(p.stderr, errR)
	}()
	return p, nil
}

func (c *Command) environ(dir string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + dir, "GAMEDAY_PROTOCOL=" + fmt.Sprint(ProtocolVersion)}
	for _, name := range append(alwaysPassed[:len(alwaysPassed):len(alwaysPassed)], c.Env...) {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range c.SetEnv {
		env = append(env, name+"="+value)
	}
	return env
}

// interrupt wakes whoever waits for the process.
func (p *process) interrupt() {
	p.stdin.Close()
	p.stdout.Close()
}

// end closes the conversation, waits a little for the process to go by itself, kills what is left of its group, and says how
// it ended.
func (p *process) end(patience time.Duration) string {
	p.stdin.Close()
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()
	if err := p.reap(patience, waited); err != nil {
		return err.Error()
	}
	return p.cmd.ProcessState.String()
}

// reap makes sure that nothing of the process is left: itself (unless waited is nil, for one that has ended), its group,
// its pipes and its directory.
func (p *process) reap(patience time.Duration, waited <-chan error) (err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	if waited != nil {
		select {
		case err = <-waited:
		case <-timer.C:
			_ = procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
			err = <-waited
		}
	}
	// Grandchildren may live on in the group, and hold the pipes.
	_ = procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
	p.stdout.Close()
	select {
	case <-p.copied:
	case <-time.After(patience):
		p.errIn.Close()
		<-p.copied
	}
	p.errIn.Close()
	p.stderr.finish()
	_ = p.dir.Remove() // What cannot be removed now, the janitor tries again.
	return err
}
