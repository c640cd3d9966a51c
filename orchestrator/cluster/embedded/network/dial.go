package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// endpoint is one of netstack's sockets with the queue that tells of its events.
type endpoint struct {
	tcpip.Endpoint
	wq *waiter.Queue
}

// connectTCP connects the stack to a Service's or any other address. The error is a syscall.Errno or the context's.
func (st *podStack) connectTCP(ctx context.Context, to netip.AddrPort) (endpoint, error) {
	target, ok := st.net.services.translate(tcp.ProtocolNumber, st.addr, to)
	if !ok {
		return endpoint{}, syscall.ECONNREFUSED
	}
	if err := ctx.Err(); err != nil {
		return endpoint{}, err
	}
	e := endpoint{wq: &waiter.Queue{}}
	var terr tcpip.Error
	if e.Endpoint, terr = st.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, e.wq); terr != nil {
		return endpoint{}, errnoOf(terr)
	}
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	e.wq.EventRegister(&entry)
	defer e.wq.EventUnregister(&entry)
	terr = e.Connect(fullAddress(orLoopback(target)))
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ready:
			terr = e.LastError()
		case <-ctx.Done():
			e.Abort()
			return endpoint{}, ctx.Err()
		}
	}
	if terr != nil {
		e.Close()
		return endpoint{}, errnoOf(terr)
	}
	e.keepAlive()
	return e, nil
}

// keepAlive makes the stack ask a silent peer whether it is still there, as often as package net does by default: so a connection
// to a node that has gone does not stay for ever.
func (e endpoint) keepAlive() {
	const every = 15 * time.Second
	idle, interval := tcpip.KeepaliveIdleOption(every), tcpip.KeepaliveIntervalOption(every)
	_ = e.SetSockOpt(&idle)
	_ = e.SetSockOpt(&interval)
	_ = e.SetSockOptInt(tcpip.KeepaliveCountOption, 9)
	e.SocketOptions().SetKeepAlive(true)
}

// orLoopback makes the unspecified address the loopback one, as connect(2) does.
func orLoopback(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return a
}

// openUDP makes a UDP socket bound to at; a valid to connects it.
func (st *podStack) openUDP(at, to netip.AddrPort) (endpoint, syscall.Errno) {
	e := endpoint{wq: &waiter.Queue{}}
	var terr tcpip.Error
	if e.Endpoint, terr = st.s.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, e.wq); terr != nil {
		return endpoint{}, errnoOf(terr)
	}
	if at.IsValid() {
		terr = e.Bind(fullAddress(at))
	}
	if terr == nil && to.IsValid() {
		terr = e.Connect(fullAddress(orLoopback(to)))
	}
	if terr != nil {
		e.Close()
		return endpoint{}, errnoOf(terr)
	}
	return e, 0
}

// listenTCP makes a listening socket.
func (st *podStack) listenTCP(at netip.AddrPort) (endpoint, syscall.Errno) {
	e := endpoint{wq: &waiter.Queue{}}
	var terr tcpip.Error
	if e.Endpoint, terr = st.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, e.wq); terr != nil {
		return endpoint{}, errnoOf(terr)
	}
	e.SocketOptions().SetReuseAddress(true) // as package net does, so that a restart may listen again at once.
	if terr = e.Bind(fullAddress(at)); terr == nil {
		terr = e.Listen(backlog)
	}
	if terr != nil {
		e.Close()
		return endpoint{}, errnoOf(terr)
	}
	return e, 0
}

// parseAddress reads host:port, where host is an IPv4 address, localhost or empty.
func parseAddress(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch host {
	case "":
		host = "0.0.0.0"
	case "localhost", "::1":
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil || !a.Addr().Unmap().Is4() {
		return netip.AddrPort{}, &net.AddrError{Err: "not an IPv4 address and port", Addr: address}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// DialContext connects from inside the pod's stack to an IPv4 address and port (Services included) or to localhost; names are not resolved.
// network is tcp, tcp4, udp or udp4. Errors are those of net.Dialer.
func (p *Pod) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := parseAddress(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	switch strings.TrimSuffix(network, "4") {
	case "tcp":
		e, err := p.st.connectTCP(ctx, to)
		if err != nil {
			return nil, dialError(network, net.TCPAddrFromAddrPort(to), err)
		}
		return gonet.NewTCPConn(e.wq, e.Endpoint), nil
	case "udp":
		target, ok := p.st.net.services.translate(udp.ProtocolNumber, p.st.addr, to)
		if !ok {
			return nil, dialError(network, net.UDPAddrFromAddrPort(to), syscall.ECONNREFUSED)
		}
		e, errno := p.st.openUDP(netip.AddrPort{}, target)
		if errno != 0 {
			return nil, dialError(network, net.UDPAddrFromAddrPort(to), errno)
		}
		return gonet.NewUDPConn(e.wq, e.Endpoint), nil
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
}

func dialError(network string, addr net.Addr, err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return opError("dial", network, "connect", addr, errno)
	case errors.Is(err, context.DeadlineExceeded):
		err = os.ErrDeadlineExceeded
	default:
		err = fmt.Errorf("operation was canceled: %w", err)
	}
	return &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
}

// Listen listens for TCP connections inside the pod's stack, for a server that runs in the node process itself.
func (p *Pod) Listen(network, address string) (net.Listener, error) {
	at, err := parseAddress(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	e, errno := p.st.listenTCP(at)
	if errno != 0 {
		return nil, opError("listen", network, "bind", net.TCPAddrFromAddrPort(at), errno)
	}
	return gonet.NewTCPListener(p.st.s, e.wq, e.Endpoint), nil
}

// ListenPacket opens a UDP socket inside the pod's stack, for a server that runs in the node process itself.
func (p *Pod) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := parseAddress(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	e, errno := p.st.openUDP(at, netip.AddrPort{})
	if errno != 0 {
		return nil, opError("listen", network, "bind", net.UDPAddrFromAddrPort(at), errno)
	}
	return gonet.NewUDPConn(e.wq, e.Endpoint), nil
}
