// Package procx starts child processes that cannot outlive their parent.
//
// Linux delivers the parent-death signal when the thread that forked the child ends, not the process
// (prctl(2), PR_SET_PDEATHSIG), and Go moves goroutines between threads. So every child is forked on one thread that
// is locked and lives as long as the process.
//
// The same thread gives its children their timer slack, which they inherit (prctl(2), PR_SET_TIMERSLACK). Go's runtime has a
// monitor thread in each process that, after each wake-up of the process, sleeps in steps of 20 microseconds; with dozens of
// mostly idle processes on a machine these steps cost more processor time than the work itself.
package procx

import (
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may fire a child's timers, to fire several together.
const timerSlack = time.Millisecond

type request struct {
	cmd  *exec.Cmd
	done chan error
}

var forks = sync.OnceValue(func() chan<- request {
	requests := make(chan request)
	go func() {
		runtime.LockOSThread()
		// Where the kernel refuses, children have its default, 50 microseconds, and only cost more.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
		for r := range requests {
			r.done <- r.cmd.Start()
		}
	}()
	return requests
})

// Start starts cmd in a process group of its own, to be killed with SIGKILL by the kernel when this process dies in
// whatever way. Its timers may be up to a millisecond late. The caller waits for it with cmd.Wait. Other fields of cmd.SysProcAttr are kept. Safe for concurrent use.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if !cmd.SysProcAttr.Setsid {
		cmd.SysProcAttr.Setpgid = true
	}
	r := request{cmd, make(chan error, 1)}
	forks() <- r
	if err := <-r.done; err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// SignalGroup sends sig to the whole process group that Start made for pid. A group that is gone is no error.
func SignalGroup(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("signal process group %d: %w", pid, err)
	}
	return nil
}
