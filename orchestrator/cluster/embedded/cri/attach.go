package cri

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Info is a running container as others on the node see it.
type Info struct {
	ID        string
	SandboxID string
	// PID is the main process on the host.
	PID int
	// ResolvConf is the host path of what the container sees as /etc/resolv.conf.
	ResolvConf string
}

// Inspect returns a running container. The error is a gRPC status: NotFound, or FailedPrecondition when it does not run.
func (r *Runtime) Inspect(id string) (Info, error) {
	c, err := r.running(id)
	if err != nil {
		return Info{}, err
	}
	info := Info{ID: c.id, SandboxID: c.sandbox.id, ResolvConf: c.sandbox.resolvConf()}
	for _, m := range c.config.Mounts {
		if m.ContainerPath == "/etc/resolv.conf" {
			if info.ResolvConf, _, err = c.source(m.HostPath); err != nil {
				return Info{}, err
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info.PID = c.main.pid
	return info, nil
}

// SandboxOf returns the ready sandbox of a pod, by the pod's UID or, when that is empty, by its namespace and name.
func (r *Runtime) SandboxOf(podUID, namespace, name string) (string, error) {
	return r.newestReady(func(s *sandboxPod) bool {
		m := s.config.GetMetadata()
		if podUID != "" {
			return m.GetUid() == podUID
		}
		return m.GetNamespace() == namespace && m.GetName() == name
	})
}

// SandboxAt returns the ready sandbox that has an address of its own. The error is a gRPC status.
func (r *Runtime) SandboxAt(addr netip.Addr) (string, error) {
	ip := addr.Unmap().String()
	return r.newestReady(func(s *sandboxPod) bool { return s.ip == ip && !s.hostNetwork() })
}

// Sandbox is a pod that is on the network.
type Sandbox struct {
	ID        string
	Labels    map[string]string
	CreatedAt time.Time
	// HostNetwork is set for a pod that uses the node's own stack.
	HostNetwork bool
}

// Sandboxes lists the ready sandboxes.
func (r *Runtime) Sandboxes() []Sandbox {
	var out []Sandbox
	for _, s := range r.snapshotSandboxes() {
		if s.state() == runtimeapi.PodSandboxState_SANDBOX_READY {
			out = append(out, Sandbox{s.id, s.config.Labels, time.Unix(0, s.createdAt), s.hostNetwork()})
		}
	}
	return out
}

func (r *Runtime) newestReady(match func(*sandboxPod) bool) (string, error) {
	ready := slices.DeleteFunc(r.snapshotSandboxes(), func(s *sandboxPod) bool {
		return s.state() != runtimeapi.PodSandboxState_SANDBOX_READY || !match(s)
	})
	if len(ready) == 0 {
		return "", status.Error(codes.NotFound, "no ready sandbox")
	}
	newest := slices.MaxFunc(ready, func(a, b *sandboxPod) int {
		return cmp.Or(cmp.Compare(a.createdAt, b.createdAt), strings.Compare(a.id, b.id))
	})
	return newest.id, nil
}

// attachPoll is how often a process that was attached is looked at.
const attachPoll = 100 * time.Millisecond

// AttachProcess makes pid, a child of this process that leads a process group of its own, part of a running container: its
// CPU time and memory count against the container's limits, and it is killed when the container ends. The caller reaps it
// and then calls detach.
func (r *Runtime) AttachProcess(id string, pid int) (detach func(), err error) {
	c, err := r.running(id)
	if err != nil {
		return nil, err
	}
	p := &process{pid: pid, detached: make(chan struct{})}
	if !c.adopt(p) {
		return nil, status.Errorf(codes.FailedPrecondition, "container %q has ended", id)
	}
	r.done.Go(func() { c.followAttached(p) })
	return sync.OnceFunc(func() { close(p.detached) }), nil
}

// followAttached keeps an attached process in the container's books until it is detached or the container ends.
func (c *container) followAttached(p *process) {
	tick := c.r.clock.NewTicker(attachPoll)
	defer tick.Stop()
	var used time.Duration
	for attached := true; attached; {
		// Read before waiting: a process that is gone has no clock, what it used last counts.
		if t, err := processCPU(p.pid); err == nil {
			used = t
		}
		select {
		case <-p.detached:
			attached = false
		case <-c.exited: // The container's end has killed it.
			attached = false
		case <-tick.C():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.procs, p.pid)
	p.statm.close()
	c.meter.addEnded(used, 0)
}
