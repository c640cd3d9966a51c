package cri

import (
	"context"
	"math"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/procx"
)

// governor is how others tell the goroutine that holds containers to their limits what it has to know at once. It is safe for concurrent use.
type governor struct {
	wake chan struct{}

	mu    sync.Mutex
	asked []*container
}

func newGovernor() *governor { return &governor{wake: make(chan struct{}, 1)} }

// ask has a container looked at now: it has started, its limits have changed, or it has got a further process.
func (g *governor) ask(c *container) {
	g.mu.Lock()
	g.asked = append(g.asked, c)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default: // Somebody has woken it already.
	}
}

// take returns the containers that were asked for since it was called last.
func (g *governor) take() []*container {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

// govern holds the running containers to their limits until ctx ends, as the kernel's control groups do elsewhere. One goroutine looks at all of them, each
// in its own time: what a look costs is mostly the wake-up for it.
func (r *Runtime) govern(ctx context.Context) {
	p := patrol{r: r, watched: map[*container]*watch{}, spare: math.MaxUint64}
	defer p.own.close()
	timer := r.clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		case <-r.governor.wake:
		}
		for _, c := range r.governor.take() {
			p.watch(c)
		}
		next := p.pass()
		timer.Reset(max(next.Sub(r.clock.Now()), 0))
	}
}

// patrol is the state of govern.
type patrol struct {
	r       *Runtime
	watched map[*container]*watch
	own     statm  // Of this process.
	spare   uint64 // What the node has left before its out-of-memory killer acts, in bytes.
}

// idlePatrol is when to look again where nothing runs.
const idlePatrol = time.Minute

// watch begins to watch a container, or looks at it now.
func (p *patrol) watch(c *container) {
	w := p.watched[c]
	if w == nil {
		w = &watch{c: c}
		p.watched[c] = w
	}
	w.pace = 0
	w.hold(p.r.clock.Now())
}

// pass looks at every container whose time has come, and returns when the next one's comes.
func (p *patrol) pass() time.Time {
	now := p.r.clock.Now()
	next := now.Add(idlePatrol)
	weighed := false
	for c, w := range p.watched {
		select {
		case <-c.exited:
			delete(p.watched, c)
			continue
		default:
		}
		weighed = w.look(now, p.spare) || weighed
		if due := w.due(); due.Before(next) {
			next = due
		}
	}
	if weighed {
		p.relieve()
	}
	return next
}

// relieve is the node's out-of-memory killer.
func (p *patrol) relieve() {
	if p.r.cfg.Machine.Memory == 0 {
		p.spare = math.MaxUint64
		return
	}
	use := make(map[*container]uint64, len(p.watched))
	for c, w := range p.watched {
		use[c] = w.memory
	}
	own, _ := p.own.read(syscall.Getpid()) // Its own figure is 0 when it cannot be read.
	p.spare = p.r.relieveMemory(own.anonymous, use)
}

// watch is what the governor knows of one running container.
type watch struct {
	c     *container
	quota *quota    // nil without a quota that it could exceed.
	next  time.Time // When the quota wants to be looked at.

	weighed time.Time     // When its memory was looked at.
	pace    time.Duration // After how long it has to be looked at again.
	memory  uint64        // What it held then, in bytes.
}

// due is when the container has to be looked at.
func (w *watch) due() time.Time {
	due := w.weighed.Add(w.pace)
	if w.quota != nil && w.next.Before(due) {
		return w.next
	}
	return due
}

// hold holds the container to the quota that it has now. One that has had it before is looked at, and more often from now on.
func (w *watch) hold(now time.Time) {
	lim := w.c.currentLimits()
	if w.quota != nil && w.quota.limit == lim.quota && w.quota.period == lim.period {
		w.apply(w.quota.look(now, w.c.measureCPU()))
		w.next = w.quota.hurry(now)
		return
	}
	if w.quota != nil {
		w.apply(w.quota.end(now))
		w.quota = nil
	}
	if lim.throttles() {
		w.quota = newQuota(lim, runtime.NumCPU(), now, w.c.measureCPU())
		w.next = w.quota.next(now)
	}
}

// look looks at what of the container is due and reports whether that was its memory. That is looked at before its time by one who is awake anyway.
func (w *watch) look(now time.Time, spare uint64) (weighed bool) {
	due := w.quota != nil && !w.next.After(now)
	weighed = now.Sub(w.weighed) >= w.pace/2
	var cpu time.Duration
	switch {
	case weighed:
		var mem memoryUse
		cpu, mem, _ = w.c.measure()
		w.weigh(now, cpu, mem.working(), spare)
	case due:
		cpu = w.c.measureCPU()
	}
	if due {
		w.apply(w.quota.look(w.c.r.clock.Now(), cpu)) // Later than now: others were looked at before it.
	}
	return weighed
}

// weigh is the container's out-of-memory killer: over the limit, everything in the container is killed. spare is what the node has left, in bytes.
func (w *watch) weigh(now time.Time, cpu time.Duration, memory, spare uint64) {
	w.c.meter.sample(now, cpu, memory)
	w.weighed, w.memory = now, memory
	if limit := uint64(max(w.c.currentLimits().memory, 0)); limit > 0 {
		if memory > limit {
			w.c.killForMemory()
			w.memory, memory = 0, limit
		}
		spare = min(spare, limit-memory)
	}
	w.pace = memoryPace(w.c.r.cfg.MemoryCheck, spare)
}

// apply does what a look at the quota has shown to be right.
func (w *watch) apply(v verdict) {
	if v.stop {
		w.c.signalAll(syscall.SIGSTOP)
	}
	if v.resume {
		w.c.signalAll(syscall.SIGCONT)
	}
	if v.periods > 0 || v.stoppedFor > 0 {
		w.c.meter.countPeriods(v.periods, v.throttled, v.stoppedFor)
	}
	w.next = v.next
}

const (
	// fastestGrowth is how fast a container may take memory, in bytes per second, that is seen over its limit as early as if it had been looked at all the
	// time: as fast as one worker of a memory stressor.
	fastestGrowth = 256 << 20
	// memoryPatience is how many times the usual period may pass between two looks at a container that is far from its limit.
	memoryPatience = 2
)

// memoryPace is how long a container's memory may go unseen, of which so much is left before somebody is killed for it. check is the usual period, in which a
// container near its limit is looked at.
func memoryPace(check time.Duration, left uint64) time.Duration {
	reaches := float64(left) / fastestGrowth * float64(time.Second)
	return time.Duration(min(max(reaches, float64(check)), memoryPatience*float64(check)))
}

func (c *container) currentLimits() limits {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits
}

func (c *container) signalAll(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pid := range c.procs {
		_ = procx.SignalGroup(pid, sig)
	}
}
