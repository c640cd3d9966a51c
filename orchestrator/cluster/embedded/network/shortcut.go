package network

import (
	"context"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// leaseFiles is how many descriptors a shortcut has: those of the pipe and of the lease.
const leaseFiles = 2

// ends identify a connection, seen from one of its pods.
type ends struct{ local, remote netip.AddrPort }

func (e ends) reversed() ends { return ends{local: e.remote, remote: e.local} }

// shortcut is a connection's way past the stacks, for one direction: the sender's process writes into the pipe that the receiver's process
// reads, under a lease that the nodes of both ends hold.
//
// A connection is always made by the stacks, and so it ends. In between, while no packet effect is in force at either end, packets
// would only be copied: so they are left out. An effect at either end, once it is in force, takes all shortcuts of its pod away before it
// is reported so (detach), and from then on every byte is in packets again. The order of the bytes holds because a pipe is only lent when
// all that was sent in packets has been delivered, and a packet is only sent again after the last write under the lease.
type shortcut struct {
	mu            sync.Mutex
	lease         *sandbox.Lease // nil while there is none.
	asking        bool           // an attempt is under way, and nothing has spoken against it since.
	bytes, writes uint64         // what has been counted of the lease.
	unheard       bool           // a lease was taken back, and the process has not been told.
}

// begin starts an attempt.
func (c *shortcut) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = true
}

// finish ends the attempt with a lease, or with nil. It says whether the lease is good: something may have spoken against it meanwhile.
func (c *shortcut) finish(lease *sandbox.Lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	good := c.asking && lease != nil
	c.asking = false
	if !good {
		if lease != nil {
			lease.Revoke()
		}
		return false
	}
	if c.lease != nil {
		c.lease.Revoke() // of an attempt that was given up and answered late.
	}
	c.lease, c.bytes, c.writes, c.unheard = lease, 0, 0, false
	return true
}

// detach takes the shortcut away and says whether there was one. When it returns, nothing is written past the stacks any more.
func (c *shortcut) detach() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lease := c.lease
	c.asking = false
	if lease == nil {
		return false
	}
	lease.Revoke() // others who detach wait with us.
	return true
}

// renew keeps the shortcut usable, as far as this end goes, and says whether there is one.
func (c *shortcut) renew() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease == nil || c.lease.Revoked() {
		return false
	}
	c.lease.Renew()
	return true
}

// takenBack says, once, that a lease has been taken back and counted for the last time: the process may still hold the pipe.
func (c *shortcut) takenBack() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := c.unheard
	c.unheard = false
	return told
}

// news is what has been written since it was last asked. A lease that has been taken away is forgotten then.
func (c *shortcut) news(mtu int) amount {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease == nil {
		return amount{}
	}
	over := c.lease.Revoked()
	bytes, writes := c.lease.Written()
	a := amountOf(bytes-c.bytes, writes-c.writes, mtu)
	c.bytes, c.writes = bytes, writes
	if over {
		c.lease, c.unheard = nil, true
	}
	return a
}

// progress counts bytes on their way between a process and packets.
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

// detach takes away the shortcuts of both directions and says whether the process had one.
func (s *splice) detach() bool {
	had := s.past.detach()
	s.lent.detach()
	s.count()
	return s.past.takenBack() || had
}

// count enters what has come and gone by shortcuts into the books of the link.
func (s *splice) count() {
	s.link.sent.add(s.past.news(s.net.cfg.MTU))
	s.link.received.add(s.lent.news(s.net.cfg.MTU))
}

// take gets the process a shortcut when it has written so many bytes in all: the descriptors of the pipe and of the lease, or none.
func (s *splice) take(written uint64) []int {
	ctx, cancel := context.WithTimeout(context.Background(), grantTime)
	defer cancel()
	if !s.sent.reached(written, ctx.Done()) {
		return nil
	}
	s.past.detach()
	s.count()
	s.past.takenBack() // The process asks: it knows.
	s.past.begin()
	if !s.direct() { // after begin: an effect or a policy that comes now ends the attempt.
		s.past.finish(nil)
		return nil
	}
	fds := s.net.shortcuts.ask(s.ends, written)
	var lease *sandbox.Lease
	if len(fds) == leaseFiles {
		var err error
		if lease, err = sandbox.OpenLease(fds[1]); err != nil {
			s.net.log.Warn("no shortcut", "err", err)
		}
	}
	if !s.past.finish(lease) {
		closeAll(fds)
		return nil
	}
	s.net.shortcuts.keep()
	return fds
}

// direct says whether nothing at this end wants to see the connection's packets.
func (s *splice) direct() bool {
	return s.link.effects.Load() == nil && !s.link.limited() && !s.net.narrow(s.ends.remote.Addr()) && s.net.permits(s.ends)
}

// grant lends the pipe that the process reads from to a peer that has sent so many bytes in packets: the descriptors of the pipe and of the
// lease, or none when that is not possible now.
func (s *splice) grant(sent uint64, stop <-chan struct{}) []int {
	if !s.direct() || !s.delivered.reached(sent, stop) {
		return nil
	}
	raw, err := s.p.out.SyscallConn()
	if err != nil {
		return nil
	}
	pipe := -1
	if err := raw.Control(func(out uintptr) { pipe, err = unix.FcntlInt(out, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || pipe < 0 {
		return nil
	}
	lease, fd, err := sandbox.NewLease()
	if err != nil {
		s.net.log.Warn("no shortcut", "err", err)
		closeAll([]int{pipe})
		return nil
	}
	fds := []int{pipe, fd}
	s.lent.detach()
	s.count()
	s.lent.begin()
	if !s.lent.finish(lease) || !s.direct() || s.isOver() { // after finish: what comes now takes it away.
		s.lent.detach()
		closeAll(fds)
		return nil
	}
	s.net.shortcuts.keep()
	return fds
}
