package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Client is the container's network: it opens connections and listeners of the pod through the sandbox socket.
// It is safe for concurrent use.
type Client struct {
	ctl      *net.UnixConn
	resolver *Resolver
	nextID   atomic.Uint64

	mu      sync.Mutex
	waiting map[uint64]chan answer
	conns   map[uint64]*conn // those that have asked for a way past the node.
	closed  error
}

// NewClient speaks the sandbox protocol on ctl, which it owns from now on. The resolver turns names into addresses;
// its Dial is set to the client's own when it is nil.
func NewClient(ctl *net.UnixConn, resolver *Resolver) *Client {
	c := &Client{ctl: ctl, resolver: resolver, waiting: map[uint64]chan answer{}, conns: map[uint64]*conn{}}
	if resolver.Dial == nil {
		resolver.Dial = c.DialContext
	}
	go c.read()
	return c
}

// Inherited is NewClient on the socket that the process inherited as file descriptor FD.
func Inherited(resolver *Resolver) (*Client, error) {
	syscall.CloseOnExec(FD)
	f := os.NewFile(FD, "sandbox")
	if f == nil {
		return nil, fmt.Errorf("open sandbox socket: file descriptor %d is not open", FD)
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open sandbox socket: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("open sandbox socket: file descriptor %d is a %T", FD, conn)
	}
	return NewClient(u, resolver), nil
}

// Close gives the network back: listeners and requests under way end. Connections that are open stay usable until they
// are closed or the node ends them. Closing twice is no error.
func (c *Client) Close() error {
	if err := c.ctl.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close sandbox socket: %w", err)
	}
	return nil
}

// remember makes a connection known to takenBack, until forget.
func (c *Client) remember(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !conn.forgotten {
		c.conns[conn.id] = conn
	}
}

func (c *Client) forget(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.forgotten = true
	delete(c.conns, conn.id)
}

// takenBack hears that the node has taken back a connection's way past it.
func (c *Client) takenBack(id uint64) {
	c.mu.Lock()
	conn := c.conns[id]
	c.mu.Unlock()
	if conn != nil {
		conn.out.leaveRevoked()
	}
}

// LookupHost returns the addresses of host, as the container's /etc/hosts and resolv.conf say.
func (c *Client) LookupHost(ctx context.Context, host string) ([]string, error) {
	return c.resolver.LookupHost(ctx, host)
}

// DialContext connects to address on network: tcp, tcp4, udp or udp4. Errors are those of net.Dialer.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	kind, err := kindOf(network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addrs, err := c.resolve(ctx, kind, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, to := range addrs {
		conn, err := c.dialOne(ctx, network, kind, to)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func (c *Client) dialOne(ctx context.Context, network, kind string, to netip.AddrPort) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addrOf(kind, to), Err: err}
	}
	a, err := c.call(ctx, Request{Op: OpDial, Network: kind, Address: to})
	switch {
	case err != nil:
		return fail(dialError(err))
	case a.reply.Errno != 0:
		closeFiles(a.files)
		return fail(os.NewSyscallError("connect", a.reply.Errno))
	case len(a.files) != filesOf(kind):
		closeFiles(a.files)
		return fail(errors.New("sandbox sent no connection"))
	}
	if kind == "udp" {
		return newPacketConn(c, a, true), nil
	}
	return newConn(c, a), nil
}

// Listen listens on address of network tcp or tcp4. An empty host means every address of the pod.
func (c *Client) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	a, at, err := c.bind(ctx, OpListen, network, "tcp", address)
	if err != nil {
		return nil, err
	}
	l, err := newListener(c, a)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addrOf("tcp", at), Err: err}
	}
	return l, nil
}

// ListenPacket opens a UDP socket bound to address of network udp or udp4.
func (c *Client) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	a, _, err := c.bind(ctx, OpPacket, network, "udp", address)
	if err != nil {
		return nil, err
	}
	return newPacketConn(c, a, false), nil
}

func (c *Client) bind(ctx context.Context, op Op, network, want, address string) (answer, netip.AddrPort, error) {
	fail := func(at net.Addr, err error) (answer, netip.AddrPort, error) {
		return answer{}, netip.AddrPort{}, &net.OpError{Op: "listen", Net: network, Addr: at, Err: err}
	}
	kind, err := kindOf(network)
	if err != nil || kind != want {
		return fail(nil, net.UnknownNetworkError(network))
	}
	addrs, err := c.resolve(ctx, kind, address)
	if err != nil {
		return fail(nil, err)
	}
	at := addrs[0]
	if host, _, _ := net.SplitHostPort(address); host == "" {
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	}
	a, err := c.call(ctx, Request{Op: op, Network: kind, Address: at})
	switch {
	case err != nil:
		return fail(addrOf(kind, at), dialError(err))
	case a.reply.Errno != 0:
		closeFiles(a.files)
		return fail(addrOf(kind, at), os.NewSyscallError("bind", a.reply.Errno))
	case len(a.files) != 1:
		closeFiles(a.files)
		return fail(addrOf(kind, at), errors.New("sandbox sent no socket"))
	}
	return a, at, nil
}

// filesOf is how many descriptors a connection has.
func filesOf(kind string) int {
	if kind == "tcp" {
		return streamFiles
	}
	return 1
}

// resolve turns host:port into addresses; an empty host is the loopback address.
func (c *Client) resolve(ctx context.Context, kind, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, kind, service)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))}, nil
	}
	names, err := c.resolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, n := range names {
		a, err := netip.ParseAddr(n)
		if err != nil {
			continue
		}
		switch {
		case a == netip.IPv6Unspecified():
			a = netip.IPv4Unspecified()
		case a == netip.IPv6Loopback():
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		// Both loopback addresses are one and the same here.
		if to := netip.AddrPortFrom(a.Unmap(), uint16(port)); to.Addr().Is4() && !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	if len(out) == 0 {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return out, nil
}

func kindOf(network string) (string, error) {
	switch kind := strings.TrimSuffix(network, "4"); kind {
	case "tcp", "udp":
		return kind, nil
	}
	return "", net.UnknownNetworkError(network)
}

// dialError words the end of a context as net.Dialer does.
func dialError(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.Is(err, context.Canceled):
		return errCanceled
	}
	return err
}

// errCanceled has the words of net's own error, which is not exported.
var errCanceled = fmt.Errorf("operation was canceled%w", silent{context.Canceled})

// silent adds an error to a chain without adding its words.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }
