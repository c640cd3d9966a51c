package network

import (
	"net"
	"net/netip"
	"sync"
)

// Pod is a pod's place on the network: its stack and the container processes that use it. It is safe for concurrent use.
type Pod struct {
	id  string
	net *Network
	st  *podStack

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{}
}

// ID is the identity that the pod was added with; the node's own is empty.
func (p *Pod) ID() string { return p.id }

// IP is the pod's address: the node's for a pod on the host network.
func (p *Pod) IP() netip.Addr { return p.st.addr }

// Serve speaks the sandbox protocol with one container process until conn is closed, which it does itself in the end. The process's listeners end with
// conn; its connections end when their own descriptors are closed, so that what a dying process wrote is still sent.
func (p *Pod) Serve(conn *net.UnixConn) {
	defer conn.Close()
	s := newSession(p, conn)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.sessions[s] = struct{}{}
	p.mu.Unlock()
	s.run()
	p.mu.Lock()
	delete(p.sessions, s)
	p.mu.Unlock()
}

// shut ends the pod's sessions and, unless it shares the node's, its stack.
func (p *Pod) shut() {
	p.mu.Lock()
	p.closed = true
	for s := range p.sessions {
		s.stop()
	}
	p.mu.Unlock()
	if p.st != p.net.host {
		p.net.dropStack(p.st)
	}
}
