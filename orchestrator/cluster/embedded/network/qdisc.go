package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Qdisc is one queueing discipline of tc(8) on a pod's egress: exactly one of Netem and TBF.
type Qdisc struct {
	Netem *Netem
	TBF   *TBF
	// Filter restricts it to some packets; the zero Filter means all.
	Filter Filter
}

// Filter selects packets by their destination.
type Filter struct {
	// IPSet is the name of a set that must hold the destination; empty means any.
	IPSet string
	Match
}

func (f *Filter) empty() bool { return reflect.ValueOf(*f).IsZero() }

func (q *Qdisc) check() error {
	switch {
	case (q.Netem == nil) == (q.TBF == nil):
		return errors.New("want either netem or tbf")
	case q.Netem != nil:
		return q.Netem.check()
	}
	return q.TBF.check()
}

// grouped splits the disciplines into those for all packets and, in order of first appearance, those of each filter.
func grouped(all []Qdisc) (global []Qdisc, filters [][]Qdisc) {
next:
	for _, q := range all {
		if q.Filter.empty() {
			global = append(global, q)
			continue
		}
		for i := range filters {
			if reflect.DeepEqual(filters[i][0].Filter, q.Filter) {
				filters[i] = append(filters[i], q)
				continue next
			}
		}
		filters = append(filters, []Qdisc{q})
	}
	return global, filters
}

// ParseRate reads a rate as tc(8) does, in bytes per second: 1mbit, 100kbps (bytes), 1gibit; without a unit it is bits.
func ParseRate(text string) (uint64, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("parse rate %q: want a number and a unit such as mbit or mbps", text)
	}
	unit, bits := s[len(digits):], 8.0
	switch {
	case strings.HasSuffix(unit, "bit"):
		unit = strings.TrimSuffix(unit, "bit")
	case strings.HasSuffix(unit, "bps"):
		unit, bits = strings.TrimSuffix(unit, "bps"), 1
	case unit != "":
		return 0, fmt.Errorf("parse rate %q: unknown unit %q", text, unit)
	}
	scale, ok := map[string]float64{
		"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
	}[unit]
	if !ok {
		return 0, fmt.Errorf("parse rate %q: unknown unit", text)
	}
	return uint64(v * scale / bits), nil
}

// discipline is a node of the tree. Times are since the device's start. Its methods are called with the device locked.
type discipline interface {
	// enqueue takes the frame over; class is for the prio discipline.
	enqueue(now time.Duration, f frame, class int)
	// dequeue gives the next frame that may leave now.
	dequeue(now time.Duration) (frame, bool)
	// next is when dequeue may give something again; ok is false when nothing waits for a time.
	next() (at time.Duration, ok bool)
	// purge drops what is queued.
	purge()
}

// device is a link's queue: the root of its tree and what pulls packets out of it.
type device struct {
	out   func(frame) // takes what leaves.
	clock clock.WithDelayedExecution
	start time.Time
	rand  *rand.Rand

	mu      sync.Mutex
	root    discipline
	running bool // a goroutine is delivering; it looks again before it leaves.
	closed  bool
	timer   clock.Timer
	wake    time.Duration
}

func newDevice(l *link, list []Qdisc, out func(frame)) *device {
	a := l.addr.As4()
	seed := l.net.cfg.Seed
	if seed != 0 {
		seed += uint64(a[2])<<8 | uint64(a[3])
	}
	d := &device{out: out, clock: l.net.clock, start: l.net.clock.Now(), rand: newRand(seed)}
	global, filters := grouped(list)
	var leaf discipline
	if len(filters) > 0 {
		p := &prio{bands: []discipline{&fifo{}}}
		for _, group := range filters {
			p.bands = append(p.bands, d.chain(group, nil))
		}
		leaf = p
	}
	d.root = d.chain(global, leaf)
	return d
}

// chain builds disciplines each of which feeds the next.
func (d *device) chain(list []Qdisc, leaf discipline) discipline {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Netem != nil {
			leaf = newNetem(d, list[i].Netem, leaf)
		} else {
			leaf = newTBF(list[i].TBF, leaf)
		}
	}
	return leaf
}

func (d *device) now() time.Duration { return d.clock.Now().Sub(d.start) }

// send queues a packet and delivers what may leave.
func (d *device) send(f frame, class int) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		f.release()
		return
	}
	d.root.enqueue(d.now(), f, class)
	d.run()
}

// run delivers what may leave now. It is called with the device locked and unlocks it. Only one goroutine delivers at a time, without the lock,
// because a delivery may cause another packet on this very link.
func (d *device) run() {
	if d.running {
		d.mu.Unlock()
		return
	}
	d.running = true
	var batch [32]frame
	for {
		n, now := 0, d.now()
		for n < len(batch) && !d.closed {
			f, ok := d.root.dequeue(now)
			if !ok {
				break
			}
			batch[n] = f
			n++
		}
		if n == 0 {
			d.running = false
			d.schedule(now)
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		for _, f := range batch[:n] {
			if f.bad {
				f.release() // the receiver's checksum tells.
				continue
			}
			d.out(f)
		}
		d.mu.Lock()
	}
}

// schedule sets the timer for the next packet.
func (d *device) schedule(now time.Duration) {
	at, ok := d.root.next()
	if !ok || d.closed {
		return
	}
	if d.timer != nil {
		if d.wake == at {
			return
		}
		d.timer.Stop()
	}
	d.wake = at
	d.timer = d.clock.AfterFunc(max(at-now, 0), func() {
		d.mu.Lock()
		if d.wake == at {
			d.timer = nil
		}
		d.run()
	})
}

// close drops what is queued.
func (d *device) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.root.purge()
}

// fifo is a queue without limit; nothing stays in it, because the device is always ready.
type fifo struct{ list []frame }

func (q *fifo) enqueue(_ time.Duration, f frame, _ int) { q.list = append(q.list, f) }

func (q *fifo) dequeue(time.Duration) (frame, bool) {
	if len(q.list) == 0 {
		return frame{}, false
	}
	f := q.list[0]
	q.list[0] = frame{}
	if q.list = q.list[1:]; len(q.list) == 0 {
		q.list = nil
	}
	return f, true
}

func (*fifo) next() (time.Duration, bool) { return 0, false }

func (q *fifo) purge() {
	for _, f := range q.list {
		f.release()
	}
	q.list = nil
}

// prio sends a packet to the band of its class: the first band takes what has no class, band i+1 takes class i. Lower bands go first.
type prio struct{ bands []discipline }

func (q *prio) enqueue(now time.Duration, f frame, class int) {
	q.bands[min(class+1, len(q.bands)-1)].enqueue(now, f, -1)
}

func (q *prio) dequeue(now time.Duration) (frame, bool) {
	for _, b := range q.bands {
		if f, ok := b.dequeue(now); ok {
			return f, true
		}
	}
	return frame{}, false
}

func (q *prio) next() (at time.Duration, ok bool) {
	for _, b := range q.bands {
		if t, has := b.next(); has && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

func (q *prio) purge() {
	for _, b := range q.bands {
		b.purge()
	}
}
