package cri

import (
	"context"
	"runtime"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/internal/procx"
)

// watchMemory samples every running container and kills those over their memory limit.
func (r *Runtime) watchMemory(ctx context.Context) {
	tick := r.clock.NewTicker(r.cfg.MemoryCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
		use := map[*container]uint64{}
		for _, c := range r.snapshotContainers() {
			if c.state().State == runtimeapi.ContainerState_CONTAINER_RUNNING {
				use[c] = c.checkMemory()
			}
		}
		r.relieveMemory(use)
	}
}

// checkMemory is the container's OOM killer: over the limit, everything in the container is killed. It returns what the
// container holds, in bytes.
func (c *container) checkMemory() uint64 {
	cpu, mem, _ := c.measure()
	c.meter.sample(c.r.clock.Now(), cpu, mem.working())
	if limit := c.currentLimits().memory; limit > 0 && mem.working() > uint64(limit) {
		c.killForMemory()
		return 0
	}
	return mem.working()
}

// throttle takes back CPU time over the quota: it stops the container's processes until their debt is paid by the quota of
// the periods that pass. It ends with the container.
//
// A container that uses little is looked at once a period; one near its quota as often as it could exhaust what is left.
func (c *container) throttle() {
	used := c.measureCPU()
	var budget time.Duration
	idle := true
	for start := c.periodStart(); ; {
		lim := c.currentLimits()
		if lim.quota <= 0 || lim.quota >= lim.period*time.Duration(runtime.NumCPU()) {
			if !c.sleep(unlimitedCheck) {
				return
			}
			used, start, budget = c.measureCPU(), c.periodStart(), 0
			continue
		}
		budget = min(budget+lim.quota, lim.quota)
		before := used
		wait := lim.period
		if !idle {
			wait = min(wait, max(budget/time.Duration(runtime.NumCPU()), minSlice))
		}
		throttled, stoppedFor := uint64(0), time.Duration(0)
		for {
			left := lim.period - c.r.clock.Since(start)
			if left <= 0 {
				break
			}
			if !c.sleep(min(wait, left)) {
				return
			}
			now := c.measureCPU()
			budget, used = budget-(now-used), now
			if budget <= 0 {
				d, ok := c.pause(lim, budget, start)
				if !ok {
					return
				}
				throttled, stoppedFor = throttled+1, stoppedFor+d
				break
			}
			wait = min(lim.period, max(budget/time.Duration(runtime.NumCPU()), minSlice))
		}
		passed := c.r.clock.Since(start)
		periods := max(int64(passed/lim.period), 1)
		now := c.measureCPU()
		budget, used = budget-(now-used), now
		budget = min(budget+lim.quota*time.Duration(periods-1), lim.quota)
		start = start.Add(lim.period * time.Duration(periods))
		idle = used-before < lim.quota/4
		if used > before || throttled > 0 {
			c.meter.countPeriods(uint64(periods), throttled*uint64(periods), stoppedFor)
		}
	}
}

// periodStart is the start of the current period, which is the same for all containers with a period of this length: a node looks at
// all those that use little in one go.
func (c *container) periodStart() time.Time {
	now := c.r.clock.Now()
	period := c.currentLimits().period
	if period <= 0 {
		return now
	}
	return now.Add(-time.Duration(now.UnixNano() % int64(period)))
}

const (
	// unlimitedCheck is how often a container without a quota is asked whether it has got one.
	unlimitedCheck = time.Second
	// minSlice is the shortest time between two looks at a container near its quota.
	minSlice = 2 * time.Millisecond
)

func (c *container) currentLimits() limits {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits
}

// sleep waits for d; false means that the container has ended.
func (c *container) sleep(d time.Duration) bool {
	t := c.r.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.exited:
		return false
	case <-t.C():
		return true
	}
}

// pause stops the container until the quota of the periods that pass has paid its debt. It returns how long that was.
func (c *container) pause(lim limits, budget time.Duration, start time.Time) (time.Duration, bool) {
	owed := 1 + int64(-budget/lim.quota) // Periods until the budget is above zero again.
	until := start.Add(lim.period * time.Duration(owed))
	from := c.r.clock.Now()
	c.signalAll(syscall.SIGSTOP)
	alive := c.sleep(max(until.Sub(from), minSlice))
	c.signalAll(syscall.SIGCONT)
	return c.r.clock.Since(from), alive
}

func (c *container) signalAll(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pid := range c.procs {
		_ = procx.SignalGroup(pid, sig)
	}
}
