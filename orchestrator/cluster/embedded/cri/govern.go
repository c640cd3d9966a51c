package cri

import (
	"context"
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
	asked []request
}

// request is to look at a container now.
type request struct {
	c *container
	// ends says that the container has been asked to end.
	ends bool
}

func newGovernor() *governor { return &governor{wake: make(chan struct{}, 1)} }

// ask has a container looked at now: it has started, its limits have changed, or it has got a further process.
func (g *governor) ask(c *container) { g.post(request{c: c}) }

// pardon has a container go on now, within its quota: it has been asked to end and has to see that.
func (g *governor) pardon(c *container) { g.post(request{c: c, ends: true}) }

// post may be called with the container's mutex held.
func (g *governor) post(req request) {
	g.mu.Lock()
	g.asked = append(g.asked, req)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default: // Somebody has woken it already.
	}
}

// take returns what was asked for since it was called last, in order.
func (g *governor) take() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

// govern holds the running containers to their limits until ctx ends, as the kernel's control groups do elsewhere. One goroutine looks at all of them, each
// in its own time: what a look costs is mostly the wake-up for it.
func (r *Runtime) govern(ctx context.Context) {
	p := patrol{r: r, watched: map[*container]*watch{}}
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
		for _, req := range r.governor.take() {
			p.watch(req)
		}
		next := p.pass()
		timer.Reset(max(next.Sub(r.clock.Now()), 0))
	}
}

// patrol is the state of govern.
type patrol struct {
	r       *Runtime
	watched map[*container]*watch
	own     statm // Of this process.
}

// idlePatrol is when to look again where nothing runs.
const idlePatrol = time.Minute

// watch begins to watch a container, or looks at it now.
func (p *patrol) watch(req request) {
	w := p.watched[req.c]
	if w == nil {
		w = &watch{c: req.c}
		p.watched[req.c] = w
	}
	w.weighed = time.Time{}
	if now := p.r.clock.Now(); req.ends && w.quota != nil {
		w.apply(w.quota.pardon(now, w.c.measureCPU()))
	} else {
		w.hold(now)
	}
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
		weighed = w.look(now) || weighed
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
		return
	}
	use := make(map[*container]uint64, len(p.watched))
	for c, w := range p.watched {
		use[c] = w.memory
	}
	own, _ := p.own.read(syscall.Getpid()) // Its own figure is 0 when it cannot be read.
	p.r.relieveMemory(own.anonymous, use)
}

// watch is what the governor knows of one running container.
type watch struct {
	c     *container
	quota *quota    // nil without a quota that it could exceed.
	next  time.Time // When the quota wants to be looked at.

	weighed time.Time // When its memory was looked at; zero when that has to be now.
	memory  uint64    // What it held then, in bytes.
}

// due is when the container has to be looked at.
func (w *watch) due() time.Time {
	due := w.weighed.Add(w.c.r.cfg.MemoryCheck)
	if w.quota != nil && w.next.Before(due) {
		return w.next
	}
	return due
}

// hold holds the container, with each of its processes, to the quota that it has now. One that has had it before is looked at more often from now on.
func (w *watch) hold(now time.Time) {
	lim := w.c.currentLimits()
	if w.quota != nil && w.quota.limit == lim.quota && w.quota.period == lim.period {
		w.apply(w.quota.join(now, w.c.measureCPU()))
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

// look looks at what of the container is due and reports whether that was its memory. That is looked at a little before its time by one who is awake anyway.
func (w *watch) look(now time.Time) (weighed bool) {
	due := w.quota != nil && !w.next.After(now)
	weighed = now.Sub(w.weighed) >= w.c.r.cfg.MemoryCheck*3/4
	var cpu time.Duration
	switch {
	case weighed:
		var mem memoryUse
		cpu, mem, _ = w.c.measure()
		w.weigh(now, cpu, mem.working())
	case due:
		cpu = w.c.measureCPU()
	}
	if due {
		w.apply(w.quota.look(w.c.r.clock.Now(), cpu)) // Later than now: others were looked at before it.
	}
	return weighed
}

// weigh is the container's out-of-memory killer: over the limit, everything in the container is killed.
func (w *watch) weigh(now time.Time, cpu time.Duration, memory uint64) {
	w.c.meter.sample(now, cpu, memory)
	w.weighed, w.memory = now, memory
	if limit := w.c.currentLimits().memory; limit > 0 && memory > uint64(limit) {
		w.c.killForMemory()
		w.memory = 0
	}
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
