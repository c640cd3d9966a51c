package cri

import (
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// meter counts what one container uses, over all its processes and their ends. It is safe for concurrent use.
type meter struct {
	mu        sync.Mutex
	endedUser time.Duration
	endedSys  time.Duration
	lastCPU   time.Duration // Never runs backwards, also while a process ends between two readings.
	peak      uint64
	oomKills  uint64
	periods   uint64
	throttled uint64
	stopped   time.Duration
	retired   bool

	rateAt   time.Time // The sample from which the rate is taken.
	rateCPU  time.Duration
	nanoCore uint64
}

func (m *meter) addEnded(user, sys time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endedUser += user
	m.endedSys += sys
}

// cpu returns the container's total CPU time given what its living processes have used.
func (m *meter) cpu(living time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastCPU = max(m.lastCPU, m.endedUser+m.endedSys+living)
	return m.lastCPU
}

// rateWindow is over how long the rate of CPU use is taken.
const rateWindow = time.Second

// sample updates the rate of CPU use.
func (m *meter) sample(now time.Time, total time.Duration, memory uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peak = max(m.peak, memory)
	if m.rateAt.IsZero() {
		m.rateAt, m.rateCPU = now, total
		return
	}
	if passed := now.Sub(m.rateAt); passed >= rateWindow {
		m.nanoCore = uint64(float64(total-m.rateCPU) / float64(passed) * 1e9)
		m.rateAt, m.rateCPU = now, total
	}
}

func (m *meter) countOOM() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.oomKills++
}

func (m *meter) countPeriods(periods, throttled uint64, stopped time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.periods += periods
	m.throttled += throttled
	m.stopped += stopped
}

// spentCPU is the CPU time of containers that were removed: the node's own total must not run backwards.
type spentCPU struct {
	mu    sync.Mutex
	total time.Duration
}

func (s *spentCPU) retire(m *meter) {
	total := m.cpu(0)
	m.mu.Lock()
	done := m.retired
	m.retired = true
	m.mu.Unlock()
	if done {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += total
}

// Usage is what one container uses.
type Usage struct {
	ID          string
	SandboxID   string
	Name        string
	Labels      map[string]string
	Annotations map[string]string
	Image       string
	CreatedAt   time.Time
	StartedAt   time.Time
	Running     bool
	Processes   uint64

	CPU       time.Duration // Total.
	NanoCores uint64        // Over the last second.
	Memory    uint64        // Working set in bytes: what a memory limit is compared with. Mapped executables are shared by all containers, and are nobody's.
	RSS       uint64        // Anonymous memory in bytes.
	PeakBytes uint64
	OOMKills  uint64
	DiskBytes uint64 // The writable layer.
	Inodes    uint64

	MemoryLimit int64 // Bytes, 0 without a limit.
	CPUShares   int64
	CPUQuota    time.Duration
	CPUPeriod   time.Duration
	// Periods, Throttled and ThrottledTime are the counters of the CPU quota: periods in which the container ran,
	// periods in which it was stopped, and how long it was stopped in all.
	Periods       uint64
	Throttled     uint64
	ThrottledTime time.Duration
}

// Usages reports what every container uses, ended ones included until they are removed.
func (r *Runtime) Usages() []Usage {
	containers := r.snapshotContainers()
	out := make([]Usage, 0, len(containers))
	for _, c := range containers {
		out = append(out, c.usage())
	}
	return out
}

// NodeCPU is the CPU time of all containers that ever ran on this node.
func (r *Runtime) NodeCPU() time.Duration {
	r.spent.mu.Lock()
	total := r.spent.total
	r.spent.mu.Unlock()
	for _, c := range r.snapshotContainers() {
		total += c.measureCPU()
	}
	return total
}

// measure reads the clocks and memory of the container's living processes.
func (c *container) measure() (cpu time.Duration, mem memoryUse, processes int) {
	mem.shared = c.tmpfsUse()
	c.mu.Lock()
	defer c.mu.Unlock()
	var living time.Duration
	for pid, p := range c.procs {
		if t, err := processCPU(pid); err == nil {
			living += t
		}
		if m, err := p.statm.read(pid); err == nil {
			mem.anonymous += m.anonymous
		}
	}
	return c.meter.cpu(living), mem, len(c.procs)
}

// measureCPU is the cheap half of measure.
func (c *container) measureCPU() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var living time.Duration
	for pid := range c.procs {
		if t, err := processCPU(pid); err == nil {
			living += t
		}
	}
	return c.meter.cpu(living)
}

func (c *container) usage() Usage {
	cpu, mem, processes := c.measure()
	disk := c.r.disk.of(c.id, c.rootDir(), c.r.clock.Now())
	c.mu.Lock()
	st, lim := c.st, c.limits
	c.mu.Unlock()
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	return Usage{
		ID: c.id, SandboxID: c.sandbox.id, Name: c.config.GetMetadata().GetName(), Labels: c.config.Labels,
		Annotations: c.config.Annotations, Image: c.image.Ref(),
		CreatedAt: time.Unix(0, c.createdAt), StartedAt: time.Unix(0, st.StartedAt),
		Running: st.State == runtimeapi.ContainerState_CONTAINER_RUNNING, Processes: uint64(processes),
		CPU: cpu, NanoCores: c.meter.nanoCore, Memory: mem.working(), RSS: mem.anonymous,
		PeakBytes: max(c.meter.peak, mem.working()), OOMKills: c.meter.oomKills, DiskBytes: disk.bytes, Inodes: disk.inodes,
		MemoryLimit: lim.memory, CPUShares: lim.shares, CPUQuota: lim.quota, CPUPeriod: lim.period,
		Periods: c.meter.periods, Throttled: c.meter.throttled, ThrottledTime: c.meter.stopped,
	}
}
