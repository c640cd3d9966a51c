package network

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	// grantTime bounds how long a peer waits for what was sent in packets to be delivered.
	grantTime = 20 * time.Millisecond
	// countEvery is how late a receiver's counters may learn of bytes that came by a shortcut.
	countEvery = time.Second
)

// shortcuts are the node's connections that may have a shortcut, and its dealings about them with the other nodes.
type shortcuts struct {
	net *Network

	mu       sync.Mutex
	splices  map[ends]*splice
	received map[netip.Addr]amount // sent by shortcuts and not yet told to the receivers' nodes.
	telling  bool                  // a timer is set.
}

// amount is a part of a link's traffic.
type amount struct {
	Bytes   uint64 `json:"bytes"`
	Packets uint64 `json:"packets"`
}

func (a amount) plus(b amount) amount { return amount{a.Bytes + b.Bytes, a.Packets + b.Packets} }

// amountOf is what n bytes would have been in packets.
func amountOf(n int) amount {
	const segment = mtu - 52 // IP header, TCP header and timestamps.
	packets := (n + segment - 1) / segment
	return amount{Bytes: uint64(n + 52*packets), Packets: uint64(packets)}
}

func newShortcuts(n *Network) *shortcuts {
	return &shortcuts{net: n, splices: map[ends]*splice{}, received: map[netip.Addr]amount{}}
}

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

// ask asks the node of the connection's other end for the pipe that its process reads from; nil means not now.
func (t *shortcuts) ask(e ends, sent uint64) *os.File {
	if t.find(e) == nil {
		return nil
	}
	fd := -1
	if t.net.own(e.remote.Addr()) {
		fd = t.grant(e.reversed(), sent)
	} else if t.net.wire != nil {
		if p := t.net.wire.peerOf(e.remote.Addr()); p != nil {
			fd = t.net.wire.askPipe(p, e, sent)
		}
	}
	if fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), "shortcut") // non-blocking, as the pipe's other users have made it.
}

// grant gives out a pipe of this node, or -1.
func (t *shortcuts) grant(e ends, sent uint64) int {
	s := t.find(e)
	if s == nil {
		return -1
	}
	ctx, cancel := context.WithTimeout(context.Background(), grantTime)
	defer cancel()
	return s.grant(sent, ctx.Done())
}

// detach takes away every shortcut from and to a pod of this node, wherever they are. A peer that does not answer is stopped or dead, and
// writes nothing; once it goes on, it reads the message first.
func (t *shortcuts) detach(addr netip.Addr) {
	t.detachHere(addr)
	if t.net.wire != nil {
		t.net.wire.tellDetach(addr)
	}
}

// detachHere takes away those that this node's senders have.
func (t *shortcuts) detachHere(addr netip.Addr) {
	t.mu.Lock()
	var all []*splice
	for e, s := range t.splices {
		if e.local.Addr() == addr || e.remote.Addr() == addr {
			all = append(all, s)
		}
	}
	t.mu.Unlock()
	for _, s := range all {
		s.past.detach()
	}
}

// count enters n bytes from a link to an address, which came by a shortcut, into the books of both.
func (t *shortcuts) count(from *link, to netip.Addr, n int) {
	a := amountOf(n)
	from.sent.add(a)
	if l := (*t.net.routes.Load())[to.As4()]; l != nil {
		l.received.add(a)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received[to] = t.received[to].plus(a)
	if !t.telling {
		t.telling = true
		t.net.clock.AfterFunc(countEvery, t.tell)
	}
}

// tell sends the other nodes what their pods have received.
func (t *shortcuts) tell() {
	t.mu.Lock()
	all := t.received
	t.received, t.telling = map[netip.Addr]amount{}, false
	t.mu.Unlock()
	if t.net.wire != nil {
		t.net.wire.tellReceived(all)
	}
}
