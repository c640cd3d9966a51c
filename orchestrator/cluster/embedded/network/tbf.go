package network

import (
	"errors"
	"time"
)

// TBF is tc-tbf(8), a token bucket filter: packets leave at Rate, in bursts of at most Buffer bytes, and wait in a queue of Limit bytes.
type TBF struct {
	// Rate is in bytes per second.
	Rate uint64
	// Buffer is the size of the bucket in bytes. A packet that is larger is cut into segments, or lost when it cannot be cut.
	Buffer uint32
	// Limit is how many bytes may wait.
	Limit uint32
	// PeakRate, in bytes per second, limits bursts too, with a bucket of MinBurst bytes; 0 means none.
	PeakRate uint64
	MinBurst uint32
}

func (t *TBF) check() error {
	switch {
	case t.Rate == 0:
		return errors.New("tbf: rate is required")
	case t.Buffer == 0:
		return errors.New("tbf: burst is required")
	case t.Limit == 0:
		return errors.New("tbf: limit is required")
	case t.PeakRate != 0 && t.MinBurst == 0:
		return errors.New("tbf: peakrate needs minburst")
	}
	return nil
}

// tbf is the running discipline. Tokens are times, as in the kernel (net/sched/sch_tbf.c).
type tbf struct {
	cfg             TBF
	child           discipline // nil means that packets leave here.
	queue           fifo
	backlog         int
	buffer, mtu     time.Duration
	tokens, ptokens time.Duration
	filled          time.Duration // when the tokens were counted.
	wait            time.Duration // when the first packet may leave.
	waiting         bool
}

func newTBF(cfg *TBF, child discipline) *tbf {
	t := &tbf{cfg: *cfg, child: child, buffer: cost(int(cfg.Buffer), cfg.Rate)}
	t.tokens = t.buffer
	if cfg.PeakRate != 0 {
		t.mtu = cost(int(cfg.MinBurst), cfg.PeakRate)
		t.ptokens = t.mtu
	}
	return t
}

// cost is how long size bytes take at a rate.
func cost(size int, rate uint64) time.Duration {
	return time.Duration(float64(size) / float64(rate) * float64(time.Second))
}

// maxSize is the largest packet that can ever leave.
func (t *tbf) maxSize() int {
	if t.cfg.PeakRate != 0 {
		return int(min(t.cfg.Buffer, t.cfg.MinBurst))
	}
	return int(t.cfg.Buffer)
}

func (t *tbf) enqueue(now time.Duration, f frame, class int) {
	parts := []frame{f}
	if f.size() > t.maxSize() {
		parts = f.segments()
	}
	for _, p := range parts {
		if p.size() > t.maxSize() || t.backlog+p.size() > int(t.cfg.Limit) {
			p.release()
			continue
		}
		p.class = class
		t.backlog += p.size()
		t.queue.enqueue(now, p, class)
	}
}

func (t *tbf) dequeue(now time.Duration) (frame, bool) {
	for {
		f, ok := t.take(now)
		if !ok {
			break
		}
		if t.child == nil {
			return f, true
		}
		t.child.enqueue(now, f, f.class)
	}
	if t.child != nil {
		return t.child.dequeue(now)
	}
	return frame{}, false
}

// take gives the first packet when there are tokens for it.
func (t *tbf) take(now time.Duration) (frame, bool) {
	t.waiting = false
	if len(t.queue.list) == 0 {
		return frame{}, false
	}
	size := t.queue.list[0].size()
	gained := min(now-t.filled, t.buffer)
	tokens := min(t.tokens+gained, t.buffer) - cost(size, t.cfg.Rate)
	var ptokens time.Duration
	if t.cfg.PeakRate != 0 {
		ptokens = min(t.ptokens+gained, t.mtu) - cost(size, t.cfg.PeakRate)
	}
	if tokens < 0 || ptokens < 0 {
		t.wait, t.waiting = now+max(-tokens, -ptokens), true
		return frame{}, false
	}
	t.filled, t.tokens, t.ptokens = now, tokens, ptokens
	t.backlog -= size
	return t.queue.dequeue(now)
}

func (t *tbf) next() (at time.Duration, ok bool) {
	at, ok = t.wait, t.waiting
	if t.child != nil {
		if c, has := t.child.next(); has && (!ok || c < at) {
			at, ok = c, true
		}
	}
	return at, ok
}

func (t *tbf) purge() {
	t.queue.purge()
	t.backlog, t.waiting = 0, false
	if t.child != nil {
		t.child.purge()
	}
}
