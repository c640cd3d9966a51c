package network

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// ProxyFunc takes over a connection that came in on a proxied port. dialOriginal opens a connection to the container's own
// listener, which sees the original peer's address. The function owns conn and closes it, and is called in a goroutine of its own. It has to
// end soon after either connection has.
type ProxyFunc func(conn net.Conn, dialOriginal func() (net.Conn, error))

// SetProxy puts a proxy in front of a TCP port of the pod, whether a container listens there already or not; nil removes it. Connections
// that are open on the port are reset, so that clients that keep theirs come back through the proxy, and later past it.
func (p *Pod) SetProxy(port uint16, proxy ProxyFunc) {
	st := p.st
	st.mu.Lock()
	if proxy == nil {
		delete(st.proxies, port)
	} else {
		st.proxies[port] = proxy
	}
	open, proxied := slices.Clone(st.listeners[port]), st.proxied[port]
	delete(st.proxied, port)
	st.mu.Unlock()
	for _, l := range open {
		l.reset()
	}
	for c := range proxied {
		c.abort()
	}
}

// proxy returns the port's proxy, or nil.
func (st *podStack) proxy(port uint16) ProxyFunc {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.proxies[port]
}

// own says whether addr is the pod itself.
func (st *podStack) own(addr netip.Addr) bool { return addr == st.addr || addr.IsLoopback() }

// proxiedConn is a connection that a proxy has taken over.
type proxiedConn struct {
	*gonet.TCPConn
	e endpoint
}

// abort resets the connection; reads and writes under way fail.
func (c *proxiedConn) abort() {
	c.e.Abort()
	c.Close()
}

// proxied runs the port's proxy on a connection.
func (l *listener) proxied(e endpoint, peer netip.AddrPort, proxy ProxyFunc) {
	local, _ := e.GetLocalAddress()
	conn := &proxiedConn{gonet.NewTCPConn(e.wq, e.Endpoint), e}
	l.st.mu.Lock()
	if l.st.proxied[l.port] == nil {
		l.st.proxied[l.port] = map[*proxiedConn]struct{}{}
	}
	l.st.proxied[l.port][conn] = struct{}{}
	l.st.mu.Unlock()
	defer func() {
		l.st.mu.Lock()
		delete(l.st.proxied[l.port], conn)
		l.st.mu.Unlock()
	}()
	proxy(conn, func() (net.Conn, error) {
		p, fds, err := newStream()
		if err != nil {
			return nil, err
		}
		at := net.TCPAddrFromAddrPort(addrPort(local))
		original := &streamConn{stream: p, local: net.TCPAddrFromAddrPort(peer), remote: at}
		reply := sandbox.Reply{Conn: l.s.newConn(), Local: addrPort(local), Remote: peer}
		if err := l.announce(opened{reply: reply, fds: fds}); err != nil {
			original.Close()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		return original, nil
	})
}
