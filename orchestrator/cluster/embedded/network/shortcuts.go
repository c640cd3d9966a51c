package network

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// grantTime bounds how long a peer waits for what was sent in packets to be delivered.
const grantTime = 20 * time.Millisecond

// renewEvery is how often leases are renewed: in time, also on a busy machine.
const renewEvery = sandbox.LeaseTerm / 4

// shortcuts are the node's connections that may have a shortcut, and its dealings about them with the other nodes.
type shortcuts struct {
	net *Network

	mu       sync.Mutex
	splices  map[ends]*splice
	renewing bool // a timer is set.
	wanted   bool // there are new leases.
}

// amount is a part of a link's traffic.
type amount struct{ bytes, packets uint64 }

// amountOf is what so many bytes of so many writes would have been in packets.
func amountOf(bytes, writes uint64, mtu int) amount {
	const header = 52 // IP header, TCP header and timestamps.
	room := uint64(mtu) - header
	packets := max(writes, (bytes+room-1)/room)
	return amount{bytes: bytes + header*packets, packets: packets}
}

func newShortcuts(n *Network) *shortcuts { return &shortcuts{net: n, splices: map[ends]*splice{}} }

// add makes a connection known. One within a pod stays in its stack.
func (t *shortcuts) add(s *splice) {
	if s.ends.remote.Addr().IsLoopback() || s.ends.remote.Addr() == s.ends.local.Addr() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.splices[s.ends] = s
}

func (t *shortcuts) remove(s *splice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.splices[s.ends] == s {
		delete(t.splices, s.ends)
	}
}

// find returns the connection with these ends, nil when it is not known.
func (t *shortcuts) find(e ends) *splice {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.splices[e]
}

// ask asks the node of the connection's other end for the pipe that its process reads from; none means not now.
func (t *shortcuts) ask(e ends, sent uint64) []int {
	if t.find(e) == nil {
		return nil
	}
	if t.net.own(e.remote.Addr()) {
		return t.grant(e.reversed(), sent)
	}
	if t.net.wire != nil {
		if p := t.net.wire.peerOf(e.remote.Addr()); p != nil {
			return t.net.wire.askPipe(p, e, sent)
		}
	}
	return nil
}

// grant lends a pipe of this node, or none.
func (t *shortcuts) grant(e ends, sent uint64) []int {
	s := t.find(e)
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), grantTime)
	defer cancel()
	return s.grant(sent, ctx.Done())
}

// keep renews the leases of this node's senders and receivers for as long as there are any.
func (t *shortcuts) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = true
	if !t.renewing {
		t.renewing = true
		time.AfterFunc(renewEvery, t.renew)
	}
}

func (t *shortcuts) renew() {
	t.mu.Lock()
	t.wanted = false
	all := slices.Collect(maps.Values(t.splices))
	t.mu.Unlock()
	some := false
	for _, s := range all {
		sends, receives := s.past.renew(), s.lent.renew()
		some = some || sends || receives
		if sends {
			continue
		}
		s.count()
		if s.past.takenBack() {
			s.lost() // The process lets go of the pipe, whose reader waits for its end.
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.renewing = some || t.wanted; t.renewing {
		time.AfterFunc(renewEvery, t.renew)
	}
}

// of returns the connections of one of the node's addresses.
func (t *shortcuts) of(addr netip.Addr) []*splice {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*splice
	for e, s := range t.splices {
		if e.local.Addr() == addr {
			all = append(all, s)
		}
	}
	return all
}

// detach takes away every shortcut from and to a pod of this node. It needs no other node: both ends hold the leases.
func (t *shortcuts) detach(addr netip.Addr) {
	for _, s := range t.of(addr) {
		if s.detach() {
			s.lost()
		}
	}
}

// enforce takes away the shortcuts of connections that the policies no longer allow.
func (t *shortcuts) enforce() {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.splices))
	t.mu.Unlock()
	for _, s := range all {
		if !t.net.permits(s.ends) && s.detach() {
			s.lost()
		}
	}
}

// count brings the books of a link up to date.
func (t *shortcuts) count(l *link) {
	for _, s := range t.of(l.addr) {
		s.count()
	}
}
