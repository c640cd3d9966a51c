package network

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"k8s.io/utils/clock"
)

// DefaultConntrackMax is the size of the connection tracking table of a node with up to four cores, as kube-proxy sets it.
const DefaultConntrackMax = 131072

// How long an entry lives after its last packet: Linux's values, but for those that kube-proxy sets (established, closeWait).
const (
	synTimeout         = 120 * time.Second
	establishedTimeout = 24 * time.Hour
	closeWaitTimeout   = time.Hour
	timeWaitTimeout    = 120 * time.Second
	closedTimeout      = 10 * time.Second
	udpTimeout         = 30 * time.Second
	udpStreamTimeout   = 120 * time.Second
	// udpStreamAfter is how long datagrams go both ways before Linux takes them for a stream.
	udpStreamAfter = 2 * time.Second
	// sweepEvery is how often entries that have expired are taken out.
	sweepEvery = 10 * time.Second
	// evictLook bounds how many entries of a full table are looked at for one that may go, as Linux looks in a few buckets only.
	evictLook = 64
	// fullLogEvery is how often a full table is logged, as the kernel limits the rate of its messages.
	fullLogEvery = 5 * time.Second
)

// tuple is a connection as one of its ends sees it.
type tuple struct {
	src, dst         [4]byte
	srcPort, dstPort uint16
	proto            uint8
}

func (f *flow) tuple() tuple { return tuple{f.src, f.dst, f.srcPort, f.dstPort, f.proto} }

func (t tuple) reversed() tuple { return tuple{t.dst, t.src, t.dstPort, t.srcPort, t.proto} }

// key returns the tuple that stands for both directions, and whether it is the other direction than t.
func (t tuple) key() (key tuple, swapped bool) {
	a, b := netip.AddrFrom4(t.src), netip.AddrFrom4(t.dst)
	if c := a.Compare(b); c > 0 || c == 0 && t.srcPort > t.dstPort {
		return t.reversed(), true
	}
	return t, false
}

// tcpState is where a TCP connection stands, as far as its packets show.
type tcpState uint8

const (
	tcpOpening tcpState = iota
	tcpEstablished
	tcpCloseWait // one end has closed.
	tcpTimeWait  // both have.
	tcpReset
)

// tracked is an entry of the connection tracking table.
type tracked struct {
	swapped bool // the connection was opened in the other direction than the key's.
	replied bool
	assured bool // not to be evicted: both ends take part.
	state   tcpState
	fins    uint8 // who has closed: 1 the opener, 2 the other.
	since   time.Duration
	expires time.Duration

	judged *policies // the policies that denied is the outcome of.
	denied bool
}

// over says whether a TCP connection is so far gone that a SYN opens a new one.
func (e *tracked) over() bool { return e.state == tcpTimeWait || e.state == tcpReset }

// conntrack is the node's connection tracking table, as nf_conntrack keeps it: every connection of a pod or of the node that passes the
// switch has an entry, on each node that it touches. Policies are judged by its direction, and a full table takes no new connection.
type conntrack struct {
	clock clock.WithDelayedExecution
	log   *slog.Logger
	start time.Time

	mu       sync.Mutex
	entries  map[tuple]*tracked
	max      int
	dropped  uint64
	logged   time.Duration
	suppress int // messages since.
	onFull   func(message string)
	sweeper  clock.Timer
	closed   bool
}

func newConntrack(n *Network) *conntrack {
	c := &conntrack{
		clock: n.clock, log: n.log, start: n.clock.Now(), entries: map[tuple]*tracked{}, max: n.cfg.ConntrackMax, onFull: n.cfg.KernelLog,
		logged: -fullLogEvery,
	}
	if c.max <= 0 {
		c.max = DefaultConntrackMax
	}
	return c
}

func (c *conntrack) now() time.Duration { return c.clock.Now().Sub(c.start) }

// admits says whether a packet passes: its connection is, or becomes, a tracked one that the policies allow.
func (c *conntrack) admits(f *flow, pol *policies) bool {
	t := f.tuple()
	key, swapped := t.key()
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e != nil && (e.expires <= now || e.over() && opens(f)) {
		delete(c.entries, key)
		e = nil
	}
	if e == nil {
		if !pol.allows(t) {
			return false
		}
		if !tracks(f) {
			return true
		}
		if !c.room(now) {
			return false
		}
		e = &tracked{swapped: swapped, since: now, judged: pol}
		c.entries[key] = e
		c.scheduleSweep()
	}
	if !e.permitted(key, pol) {
		return false
	}
	e.advance(f, swapped == e.swapped, now)
	return true
}

// permitted judges a connection by the direction in which it was opened.
func (e *tracked) permitted(key tuple, pol *policies) bool {
	if e.judged != pol {
		if e.swapped {
			key = key.reversed()
		}
		e.judged, e.denied = pol, !pol.allows(key)
	}
	return !e.denied
}

// permits says whether the policies allow an established connection. One that is not in the table is left to its packets.
func (c *conntrack) permits(t tuple, pol *policies) bool {
	key, _ := t.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	return e != nil && e.permitted(key, pol)
}

// opens says whether a packet asks for a new TCP connection.
func opens(f *flow) bool {
	return f.proto == uint8(header.TCPProtocolNumber) && f.flags&uint8(header.TCPFlagSyn|header.TCPFlagAck) == uint8(header.TCPFlagSyn)
}

// tracks says whether a packet of no known connection makes an entry: a SYN, or a segment in the middle of a connection.
func tracks(f *flow) bool {
	if f.proto != uint8(header.TCPProtocolNumber) || opens(f) {
		return true
	}
	return f.flags&uint8(header.TCPFlagAck) != 0 && f.flags&uint8(header.TCPFlagSyn|header.TCPFlagFin|header.TCPFlagRst) == 0
}

// advance moves the entry on by a packet of the opener's or of the other end's.
func (e *tracked) advance(f *flow, original bool, now time.Duration) {
	e.replied = e.replied || !original
	if f.proto != uint8(header.TCPProtocolNumber) {
		timeout := udpTimeout
		if e.replied && (e.assured || now-e.since > udpStreamAfter) {
			e.assured, timeout = true, udpStreamTimeout
		}
		e.expires = now + timeout
		return
	}
	flags := header.TCPFlags(f.flags)
	switch {
	case flags.Contains(header.TCPFlagRst):
		e.state = tcpReset
	case e.state == tcpReset:
	case flags.Contains(header.TCPFlagFin):
		if original {
			e.fins |= 1
		} else {
			e.fins |= 2
		}
		e.state = tcpCloseWait
		if e.fins == 1|2 {
			e.state = tcpTimeWait
		}
	case e.state == tcpOpening && flags.Contains(header.TCPFlagAck) && !flags.Contains(header.TCPFlagSyn):
		e.state, e.assured = tcpEstablished, true
	}
	e.expires = now + [...]time.Duration{
		tcpOpening: synTimeout, tcpEstablished: establishedTimeout, tcpCloseWait: closeWaitTimeout, tcpTimeWait: timeWaitTimeout, tcpReset: closedTimeout,
	}[e.state]
}

// room makes sure that one more entry fits.
func (c *conntrack) room(now time.Duration) bool {
	if len(c.entries) < c.max {
		return true
	}
	looked := 0
	for key, e := range c.entries {
		if !e.assured || e.expires <= now || e.state >= tcpCloseWait {
			delete(c.entries, key)
			break
		}
		if looked++; looked == evictLook {
			break
		}
	}
	if len(c.entries) < c.max {
		return true
	}
	c.dropped++
	c.suppress++
	if now-c.logged >= fullLogEvery {
		c.log.Warn("nf_conntrack: table full, dropping packet", "max", c.max, "packets", c.suppress)
		c.logged, c.suppress = now, 0
		if c.onFull != nil {
			c.onFull("nf_conntrack: nf_conntrack: table full, dropping packet")
		}
	}
	return false
}

func (c *conntrack) scheduleSweep() {
	if c.sweeper == nil && !c.closed {
		c.sweeper = c.clock.AfterFunc(sweepEvery, c.sweep)
	}
}

// sweep takes out what has expired.
func (c *conntrack) sweep() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.entries {
		if e.expires <= now {
			delete(c.entries, key)
		}
	}
	c.sweeper = nil
	if len(c.entries) > 0 {
		c.scheduleSweep()
	}
}

// forget takes out the connections of an address that has left the node.
func (c *conntrack) forget(addr netip.Addr) {
	a := addr.As4()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.entries {
		if key.src == a || key.dst == a {
			delete(c.entries, key)
		}
	}
}

func (c *conntrack) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.sweeper != nil {
		c.sweeper.Stop()
	}
}

// Conntrack is the state of a node's connection tracking table.
type Conntrack struct {
	// Entries is how many connections it holds, and Max how many it can.
	Entries, Max int
	// Dropped counts packets of new connections that found it full.
	Dropped uint64
}

// Conntrack reads the state of the connection tracking table.
func (n *Network) Conntrack() Conntrack {
	c := n.conntrack
	c.mu.Lock()
	defer c.mu.Unlock()
	return Conntrack{Entries: len(c.entries), Max: c.max, Dropped: c.dropped}
}

// SetConntrackMax sets the size of the connection tracking table; 0 or less is the default. Entries beyond it stay.
func (n *Network) SetConntrackMax(size int) {
	if size <= 0 {
		size = DefaultConntrackMax
	}
	n.conntrack.mu.Lock()
	defer n.conntrack.mu.Unlock()
	n.conntrack.max = size
}
