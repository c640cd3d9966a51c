package cri

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/internal/procx"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// process is one process of a container, started and not yet forgotten.
type process struct {
	pid    int
	cmd    *exec.Cmd
	copies sync.WaitGroup // Goroutines that carry output.
	close  []io.Closer    // The node's ends of what the process was given.
	tty    *os.File       // The terminal's master side, nil without a terminal.
	stdin  io.WriteCloser // nil without standard input.
	// detached ends an attached process's membership; nil for the runtime's own processes.
	detached chan struct{}
	statm    statm // The container's mutex guards it.
}

// command is what launch needs to know about a process.
type command struct {
	args  []string // After the program binary.
	stdin bool
	tty   bool
	// out and err take what the process writes; with a terminal everything goes to out. They are not closed.
	out, err io.Writer
}

// mainCommand is the container's own process: its program or, when the manifest names another command, that one
// interpreted. The program binary decides which by the description's argument vector.
func (c *container) mainCommand() command {
	cmd := command{
		args:  []string{"--container", c.configPath()},
		stdin: c.config.Stdin, tty: c.config.Tty, out: io.Discard, err: io.Discard,
	}
	if c.log != nil {
		cmd.out, cmd.err = c.log.stream("stdout"), c.log.stream("stderr")
	}
	return cmd
}

// execCommand is a further process in the container's context.
func (c *container) execCommand(argv []string) command {
	return command{args: append([]string{"--container", c.configPath(), "--exec", "--"}, argv...)}
}

func (c *container) configPath() string { return filepath.Join(c.dir, "config.json") }

// launch starts a process of the container with a network socket of its own. The caller has asked
// allowTask, and reaps the process with wait and drain.
func (c *container) launch(spec command) (*process, error) {
	pod, err := c.sandbox.network()
	if err != nil {
		return nil, err
	}
	node, child, err := sandbox.Pair()
	if err != nil {
		return nil, err
	}
	defer child.Close()
	cmd := exec.Command(c.image.Binary, spec.args...) //nolint:noctx // It ends when the CRI says so, long after this call.
	cmd.Dir = c.dir
	cmd.Env = c.processEnv()
	cmd.ExtraFiles = []*os.File{child}
	p := &process{cmd: cmd, close: []io.Closer{node}}
	var theirs []io.Closer
	if spec.tty {
		theirs, err = p.openTerminal(spec)
	} else {
		theirs, err = p.openPipes(spec)
	}
	if err == nil {
		err = procx.Start(cmd)
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		p.release()
		return nil, err
	}
	p.pid = cmd.Process.Pid
	go pod.Serve(node)
	return p, nil
}

func (p *process) openPipes(spec command) ([]io.Closer, error) {
	var theirs []io.Closer
	carry := func(to io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make output pipe: %w", err)
		}
		p.close = append(p.close, r)
		theirs = append(theirs, w)
		p.copies.Go(func() { copyOutput(to, r) })
		return w, nil
	}
	out, err := carry(spec.out)
	if err != nil {
		return theirs, err
	}
	errs, err := carry(spec.err)
	if err != nil {
		return theirs, err
	}
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	if spec.stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return theirs, fmt.Errorf("make input pipe: %w", err)
		}
		theirs = append(theirs, r)
		p.cmd.Stdin, p.stdin = r, w
		p.close = append(p.close, w)
	}
	return theirs, nil
}

// openTerminal gives the process a terminal of its own as standard input and output.
func (p *process) openTerminal(spec command) ([]io.Closer, error) {
	master, slave, err := openPTY()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	p.tty, p.stdin = master, master
	p.close = append(p.close, master)
	p.copies.Go(func() { copyOutput(spec.out, master) })
	return []io.Closer{slave}, nil
}

// copyOutput carries what a process writes until it closes its end. A writer that fails loses output, never the process.
func copyOutput(to io.Writer, from io.Reader) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = io.Copy(io.Discard, from)
	}
	if f, ok := to.(interface{ flush() }); ok {
		f.flush()
	}
}

// reap waits for a process of the container to end, takes it out of the books, adds what it used to the container's total,
// and returns its exit code: 128 plus the signal when a signal ended it. When the main process ends, everything in the
// container is killed, as in a process namespace.
//
// Signals go to process groups. Until the ended process is collected its identifier cannot be given to another process, so
// everything that sends signals has to lose sight of it before that.
func (c *container) reap(p *process) int {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.mu.Lock()
	delete(c.procs, p.pid)
	p.statm.close()
	if p == c.main {
		c.ended = true
		for pid := range c.procs {
			_ = procx.SignalGroup(pid, syscall.SIGKILL)
		}
	}
	c.mu.Unlock()
	_ = procx.SignalGroup(p.pid, syscall.SIGKILL) // What it left behind in its own group.
	_ = p.cmd.Wait()
	state := p.cmd.ProcessState
	c.meter.addEnded(state.UserTime(), state.SystemTime())
	if st, ok := state.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal())
	}
	return state.ExitCode()
}

// drainTime bounds how long output is read after the process ended: a descendant may hold the pipe open.
const drainTime = 2 * time.Second

// drain waits until the process's output has been carried and gives back what the node held for it.
func (p *process) drain() {
	carried := make(chan struct{})
	go func() {
		p.copies.Wait()
		close(carried)
	}()
	select {
	case <-carried:
	case <-time.After(drainTime):
	}
	p.release()
	<-carried
}

func (p *process) release() {
	for _, f := range p.close {
		_ = f.Close()
	}
}

// signal sends sig to the process group of a process that has not ended; otherwise it does nothing.
func (c *container) signal(p *process, sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.procs[p.pid] == p {
		_ = procx.SignalGroup(p.pid, sig)
	}
}

// adopt enters a further process into the container's books, unless the container has ended meanwhile.
func (c *container) adopt(p *process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.main == nil || c.ended {
		return false
	}
	c.procs[p.pid] = p
	c.r.governor.ask(c)
	return true
}

// processEnv is the environment of the operating-system process. The container's own environment is in its description;
// this one only carries what Go's runtime would have learnt from a cgroup.
func (c *container) processEnv() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if c.goMaxProcs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(c.goMaxProcs))
	}
	return env
}
