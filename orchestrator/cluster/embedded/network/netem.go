package network

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// defaultLimit is netem's queue limit in packets when none is given.
const defaultLimit = 1000

// Netem is tc-netem(8): delay, loss, duplication, corruption, reordering and rate, with the kernel's own arithmetic (net/sched/sch_netem.c).
// Percentages are 0 to 100.
type Netem struct {
	// Delay is added to every packet, plus or minus a uniformly distributed Jitter.
	Delay, Jitter    time.Duration
	DelayCorrelation float64
	// Limit is how many packets may be queued; 0 means 1000.
	Limit                           uint32
	Loss, LossCorrelation           float64
	Duplicate, DuplicateCorrelation float64
	Corrupt, CorruptCorrelation     float64
	// Reorder sends this share of packets at once while the others are delayed; with Gap n only every n-th packet can be.
	Reorder, ReorderCorrelation float64
	Gap                         uint32
	// Rate is in bytes per second; 0 means no limit.
	Rate uint64
}

func (n *Netem) check() error {
	for name, v := range map[string]float64{
		"delay correlation": n.DelayCorrelation, "loss": n.Loss, "loss correlation": n.LossCorrelation, "duplicate": n.Duplicate,
		"duplicate correlation": n.DuplicateCorrelation, "corrupt": n.Corrupt, "corrupt correlation": n.CorruptCorrelation,
		"reorder": n.Reorder, "reorder correlation": n.ReorderCorrelation,
	} {
		if v < 0 || v > 100 || math.IsNaN(v) {
			return fmt.Errorf("netem %s %v: want a percentage", name, v)
		}
	}
	if n.Delay < 0 || n.Jitter < 0 {
		return fmt.Errorf("netem delay %s, jitter %s: must not be negative", n.Delay, n.Jitter)
	}
	if n.Reorder > 0 && n.Delay == 0 {
		return fmt.Errorf("netem reorder: not possible without a delay")
	}
	return nil
}

// crandom gives random numbers correlated with their predecessors, as the kernel's get_crandom.
type crandom struct {
	rand *rand.Rand
	last uint32
	rho  uint32
}

func (c *crandom) next() uint32 {
	value := uint64(c.rand.Uint32())
	if c.rho == 0 {
		return uint32(value)
	}
	rho := uint64(c.rho) + 1
	c.last = uint32((value*((1<<32)-rho) + uint64(c.last)*rho) >> 32)
	return c.last
}

// share turns a percentage into the kernel's scale.
func share(percent float64) uint32 { return uint32(math.Round(percent / 100 * math.MaxUint32)) }

// chance is an event that happens with a probability.
type chance struct {
	p uint32
	crandom
}

func (c *chance) happens() bool { return c.p != 0 && c.p >= c.next() }

// netem is the running discipline.
type netem struct {
	dev                      *device
	cfg                      Netem
	child                    discipline // nil means that packets leave here.
	loss, duplicate, corrupt chance
	reorder                  chance
	delay                    crandom
	gap, counter             uint32
	limit                    int

	head   fifo // packets that overtake.
	timed  timeline
	seq    uint64
	latest time.Duration // when the last packet of the queue leaves; valid while timed holds some.
}

func newNetem(d *device, cfg *Netem, child discipline) *netem {
	event := func(p, correlation float64) chance {
		return chance{share(p), crandom{rand: d.rand, rho: share(correlation)}}
	}
	n := &netem{
		dev: d, cfg: *cfg, child: child, loss: event(cfg.Loss, cfg.LossCorrelation), duplicate: event(cfg.Duplicate, cfg.DuplicateCorrelation),
		corrupt: event(cfg.Corrupt, cfg.CorruptCorrelation), reorder: event(cfg.Reorder, cfg.ReorderCorrelation),
		delay: crandom{rand: d.rand, rho: share(cfg.DelayCorrelation)}, gap: cfg.Gap, limit: int(cfg.Limit),
	}
	if n.limit == 0 {
		n.limit = defaultLimit
	}
	if cfg.Reorder > 0 && n.gap == 0 {
		n.gap = 1
	}
	return n
}

func (n *netem) enqueue(now time.Duration, f frame, class int) {
	copies := 1
	if n.duplicate.happens() {
		copies++
	}
	if n.loss.happens() {
		copies--
	}
	if copies == 0 {
		f.release()
		return
	}
	if copies > 1 {
		// The copy starts again at the root, without being duplicated once more.
		p := n.duplicate.p
		n.duplicate.p = 0
		n.dev.root.enqueue(now, f.clone(), class)
		n.duplicate.p = p
	}
	if n.corrupt.happens() {
		parts := f.segments()
		parts[0].bad = true
		n.queue(now, parts[0], class)
		for _, p := range parts[1:] {
			n.enqueue(now, p, class)
		}
		return
	}
	n.queue(now, f, class)
}

func (n *netem) queue(now time.Duration, f frame, class int) {
	if len(n.timed) >= n.limit {
		f.release()
		return
	}
	if n.gap != 0 && n.counter >= n.gap-1 && n.reorder.p >= n.reorder.next() {
		n.counter = 0
		f.class = class
		n.head.enqueue(now, f, class)
		return
	}
	delay := n.tableDelay()
	from := now
	if n.cfg.Rate > 0 {
		if len(n.timed) > 0 {
			// The last packet in the queue is the reference point: its time is a bonus on the delay.
			delay = max(0, delay-(n.latest-now))
			from = n.latest
		}
		delay += time.Duration(float64(f.size()) / float64(n.cfg.Rate) * float64(time.Second))
	}
	n.counter++
	n.seq++
	at := from + delay
	if len(n.timed) == 0 || at > n.latest {
		n.latest = at
	}
	f.class = class
	heap.Push(&n.timed, timed{at, n.seq, f})
}

// tableDelay draws a delay from the uniform distribution, the kernel's when it has no table.
func (n *netem) tableDelay() time.Duration {
	if n.cfg.Jitter == 0 {
		return n.cfg.Delay
	}
	r := int64(n.delay.next())
	sigma := int64(n.cfg.Jitter)
	// The kernel's modulus works up to 4 s; beyond, its 32 bits are stretched over the range.
	if 2*sigma <= math.MaxUint32 {
		r %= 2 * sigma
	} else {
		r = int64(float64(r) / math.MaxUint32 * float64(2*sigma))
	}
	return max(0, n.cfg.Delay+time.Duration(r-sigma))
}

func (n *netem) dequeue(now time.Duration) (frame, bool) {
	if f, ok := n.head.dequeue(now); ok {
		if n.child == nil {
			return f, true
		}
		n.child.enqueue(now, f, f.class)
	}
	for len(n.timed) > 0 && n.timed[0].at <= now {
		f := heap.Pop(&n.timed).(timed).frame
		if n.child == nil {
			return f, true
		}
		n.child.enqueue(now, f, f.class)
	}
	if n.child != nil {
		return n.child.dequeue(now)
	}
	return frame{}, false
}

func (n *netem) next() (at time.Duration, ok bool) {
	if len(n.timed) > 0 {
		at, ok = n.timed[0].at, true
	}
	if n.child != nil {
		if t, has := n.child.next(); has && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

func (n *netem) purge() {
	n.head.purge()
	for _, t := range n.timed {
		t.frame.release()
	}
	n.timed = nil
	if n.child != nil {
		n.child.purge()
	}
}

// timed is a packet that leaves at a time; packets of the same time leave in the order in which they came.
type timed struct {
	at    time.Duration
	seq   uint64
	frame frame
}

// timeline is a heap of packets by time.
type timeline []timed

func (t timeline) Len() int { return len(t) }
func (t timeline) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].seq < t[j].seq
}
func (t timeline) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timeline) Push(x any)   { *t = append(*t, x.(timed)) }

func (t *timeline) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timed{}
	*t = old[:len(old)-1]
	return last
}
