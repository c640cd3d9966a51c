package cri

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// containerState is where a container is in its life.
type containerState struct {
	State      runtimeapi.ContainerState `json:"state"`
	StartedAt  int64                     `json:"startedAt,omitempty"`
	FinishedAt int64                     `json:"finishedAt,omitempty"`
	ExitCode   int32                     `json:"exitCode,omitempty"`
	Reason     string                    `json:"reason,omitempty"`
	Message    string                    `json:"message,omitempty"`
}

// container is one container: its records, its root file system and, while it runs, its processes.
type container struct {
	r         *Runtime
	id        string
	sandbox   *sandboxPod
	config    *runtimeapi.ContainerConfig
	image     image
	createdAt int64
	dir       string
	log       *logFile // nil when nothing is logged.
	// goMaxProcs is the number of threads that Go's runtime takes from a CPU limit, 0 without one.
	goMaxProcs int

	// exited is closed when the main process has ended and its output is in the log.
	exited chan struct{}

	meter meter

	mu     sync.Mutex
	st     containerState
	limits limits
	clocks sandbox.ClockOffsets // Beside the node's.
	procs  map[int]*process     // The main process and those of exec, by process identifier.
	main   *process
	ended  bool // The main process has ended; nothing new may start.
	oom    bool
	tmpfs  []string // The accounts of its tmpfs volumes.
}

func (r *Runtime) containerDir(id string) string { return filepath.Join(r.cfg.Dir, "containers", id) }

func (r *Runtime) newContainer(id string, s *sandboxPod, config *runtimeapi.ContainerConfig, img image, createdAt int64) *container {
	c := &container{
		r: r, id: id, sandbox: s, config: config, image: img, createdAt: createdAt, dir: r.containerDir(id),
		exited: make(chan struct{}), procs: map[int]*process{}, limits: limitsOf(config.GetLinux().GetResources()),
		st: containerState{State: runtimeapi.ContainerState_CONTAINER_CREATED},
	}
	c.goMaxProcs = c.limits.goMaxProcs()
	if s.config.GetLogDirectory() != "" && config.GetLogPath() != "" {
		c.log = &logFile{path: filepath.Join(s.config.LogDirectory, config.LogPath), clock: r.clock}
	}
	return c
}

func (c *container) state() containerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st
}

// start starts the main process and what watches it.
func (c *container) start() error {
	fork := c.allowTask() // It looks at every container, so no lock is held.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.st.State != runtimeapi.ContainerState_CONTAINER_CREATED {
		return status.Errorf(codes.FailedPrecondition, "container %q is in state %s", c.id, c.st.State)
	}
	if c.log != nil {
		if err := c.log.reopen(); err != nil {
			return err
		}
		if c.config.GetStdinOnce() {
			c.log.awaitClient()
		}
	}
	if err := c.applyClocks(c.r.NodeClocks()); err != nil {
		return err
	}
	var p *process
	err := fork
	if err == nil {
		p, err = c.launch(c.mainCommand())
	}
	if err != nil {
		now := c.r.clock.Now().UnixNano()
		c.st = containerState{
			State: runtimeapi.ContainerState_CONTAINER_EXITED, StartedAt: now, FinishedAt: now,
			ExitCode: 128, Reason: "StartError", Message: "failed to create containerd task: " + err.Error(),
		}
		close(c.exited)
		return status.Error(codes.Unknown, c.st.Message)
	}
	c.main = p
	c.procs[p.pid] = p
	c.st.State, c.st.StartedAt = runtimeapi.ContainerState_CONTAINER_RUNNING, c.r.clock.Now().UnixNano()
	if err := c.r.store.saveContainer(c, c.st); err != nil {
		c.r.log.Warn("save container record", "container", c.id, "error", err)
	}
	c.r.done.Go(func() { c.wait(p) })
	c.r.governor.ask(c)
	return nil
}

// wait waits for the end of the main process and records how it ended.
func (c *container) wait(p *process) {
	code := c.reap(p)
	p.drain()
	c.mu.Lock()
	c.st.State, c.st.ExitCode = runtimeapi.ContainerState_CONTAINER_EXITED, int32(code)
	c.st.FinishedAt = c.r.clock.Now().UnixNano()
	switch {
	case c.oom:
		c.st.Reason = "OOMKilled"
	case code == 0:
		c.st.Reason = "Completed"
	default:
		c.st.Reason = "Error"
	}
	st := c.st
	c.mu.Unlock()
	if err := c.r.store.saveContainer(c, st); err != nil {
		c.r.log.Warn("save container record", "container", c.id, "error", err)
	}
	close(c.exited)
}

// stopSignal is what asks the container to end: SIGTERM unless the pod names another.
func (c *container) stopSignal() syscall.Signal {
	if s := unix.SignalNum(c.config.GetStopSignal().String()); s != 0 {
		return s
	}
	return syscall.SIGTERM
}

// stop ends the container: its stop signal, at most grace later SIGKILL. It returns when the container has ended.
func (c *container) stop(ctx context.Context, grace time.Duration) error {
	c.mu.Lock()
	running, main := c.st.State == runtimeapi.ContainerState_CONTAINER_RUNNING, c.main
	c.mu.Unlock()
	if !running {
		return nil
	}
	if grace > 0 {
		c.signal(main, c.stopSignal())
		c.signal(main, syscall.SIGCONT) // A throttled process has to see the signal at once, and to handle it within its quota.
		c.r.governor.pardon(c)
		timer := c.r.clock.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.exited:
			return nil
		case <-timer.C():
		case <-ctx.Done():
		}
	}
	c.signal(main, syscall.SIGKILL)
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("failed to stop container %q: %w", c.id, ctx.Err())
	}
}
