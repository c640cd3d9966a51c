package network

import (
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ends identify a connection, seen from one of its pods.
type ends struct{ local, remote netip.AddrPort }

func (e ends) reversed() ends { return ends{local: e.remote, remote: e.local} }

const (
	// firstAsk is how many writes pass the stacks before a connection asks for its shortcut: short connections never do.
	firstAsk = 4
	// maxAsk bounds how many writes pass between two attempts.
	maxAsk = 256
)

// shortcut is a connection's way past the stacks, for one direction: the pipe that the peer's process reads from, in the hands of
// the sender's node.
//
// A connection is always made by the stacks, and so it ends. In between, while no packet effect is in force at either end, packets
// would only be copied: so the sender's node writes straight into the receiver's pipe. An effect at either end, once it is in force, takes
// all shortcuts of its pod away before it is reported so (detach), and from then on every byte is in packets again. The order of
// the bytes holds because a pipe is only handed over when all that was sent in packets has been delivered, and a packet is only sent
// again after the last write to the pipe.
type shortcut struct {
	mu     sync.Mutex
	to     *os.File // nil while there is none.
	asking bool     // an attempt is under way, and nothing has spoken against it since.

	writes, next int // through the stacks since the last attempt, and how many the next one waits for.
}

// write writes as much as the shortcut takes and returns how much: all of b while there is a shortcut, nothing when there is none.
func (c *shortcut) write(b []byte) int {
	c.mu.Lock()
	to := c.to
	c.mu.Unlock()
	if to == nil {
		return 0
	}
	n, err := to.Write(b)
	if err != nil {
		c.detach() // taken away meanwhile, or the process has closed: the stacks know how to end it.
	}
	return n
}

// due counts a write through the stacks and says whether it is time to ask for a shortcut.
func (c *shortcut) due() bool {
	if c.next == 0 {
		c.next = firstAsk
	}
	if c.writes++; c.writes < c.next {
		return false
	}
	c.writes, c.next = 0, min(2*c.next, maxAsk)
	return true
}

// begin starts an attempt.
func (c *shortcut) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = true
}

// finish ends the attempt with a pipe, which may be nil, unless something has spoken against it meanwhile.
func (c *shortcut) finish(to *os.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asking && to != nil {
		to.Close()
		to = nil
	}
	c.asking, c.to = false, to
}

// detach takes the shortcut away. When it returns, nothing is written to it any more.
func (c *shortcut) detach() {
	c.mu.Lock()
	to := c.to
	c.to, c.asking = nil, false
	c.mu.Unlock()
	if to != nil {
		to.Close() // waits for a write under way, which it ends.
	}
}

// progress counts what has been delivered to a process out of packets.
type progress struct {
	mu   sync.Mutex
	done uint64
	wake chan struct{} // closed at the next step; nil while nobody waits.
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += uint64(n)
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// reached waits until so many bytes have been delivered; false means that stop came first.
func (p *progress) reached(n uint64, stop <-chan struct{}) bool {
	for {
		p.mu.Lock()
		if p.done >= n {
			p.mu.Unlock()
			return true
		}
		if p.wake == nil {
			p.wake = make(chan struct{})
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-stop:
			return false
		}
	}
}

// carry sends b to the peer, by the shortcut or through the stacks; false means that the connection is over.
func (s *splice) carry(b []byte, ready <-chan struct{}) bool {
	if n := s.past.write(b); n > 0 {
		s.net.shortcuts.count(s.link, s.ends.remote.Addr(), n)
		if b = b[n:]; len(b) == 0 {
			return true
		}
	}
	if !s.write(b, ready) {
		return false
	}
	s.sent += uint64(len(b))
	if s.past.due() {
		s.ask()
	}
	return true
}

// ask tries to get a shortcut. It is called between two writes, so that what was sent does not grow meanwhile.
func (s *splice) ask() {
	s.past.begin()
	var to *os.File
	if s.link.effects.Load() == nil { // after begin: an effect that comes now ends the attempt.
		to = s.net.shortcuts.ask(s.ends, s.sent)
	}
	s.past.finish(to)
}

// grant returns a descriptor of the pipe that the process reads from, for a peer that has sent so many bytes in packets; -1 when that is
// not possible now.
func (s *splice) grant(sent uint64, stop <-chan struct{}) int {
	if s.link.effects.Load() != nil || !s.delivered.reached(sent, stop) {
		return -1
	}
	raw, err := s.p.out.SyscallConn()
	if err != nil {
		return -1
	}
	fd := -1
	if err := raw.Control(func(out uintptr) { fd, err = unix.FcntlInt(out, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || fd < 0 {
		return -1
	}
	// An effect that came since takes the shortcut away: its detach reaches the peer, which is still asking, or has it already.
	if s.link.effects.Load() != nil {
		syscall.Close(fd)
		return -1
	}
	return fd
}
