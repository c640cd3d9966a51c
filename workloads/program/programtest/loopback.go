// Package programtest runs programs on this machine, for their tests.
package programtest

import (
	"context"
	"net"
	"sync"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Loopback is the network of a pod on the loopback device of this machine. Whatever port a program listens on, it gets a free one, and dialling
// the port that it wanted, of whatever host, leads there: tests run at the same time, and need no rights. It is safe for concurrent use.
type Loopback struct {
	// Network is what is below; see program.System.
	program.Network
	// Opened, unless it is nil, is called for each socket that a program has opened, as network:port, for example tcp:8080.
	Opened func(socket string)

	mu        sync.Mutex
	addresses map[string]string // by network:port.
}

// Address is where a socket, named as by Opened, is on this machine; "" while it is not open.
func (l *Loopback) Address(socket string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addresses[socket]
}

// Listen implements program.Network.
func (l *Loopback) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	out, err := l.Network.Listen(ctx, network, "127.0.0.1:0")
	if err == nil {
		l.open(socket(network, address), out.Addr())
	}
	return out, err
}

// ListenPacket implements program.Network.
func (l *Loopback) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	out, err := l.Network.ListenPacket(ctx, network, "127.0.0.1:0")
	if err == nil {
		l.open(socket(network, address), out.LocalAddr())
	}
	return out, err
}

// DialContext implements program.Network. Ports that no program has opened are those of this machine.
func (l *Loopback) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if own := l.Address(socket(network, address)); own != "" {
		address = own
	}
	return l.Network.DialContext(ctx, network, address)
}

func (l *Loopback) open(socket string, at net.Addr) {
	l.mu.Lock()
	if l.addresses == nil {
		l.addresses = map[string]string{}
	}
	l.addresses[socket] = at.String()
	l.mu.Unlock()
	if l.Opened != nil {
		l.Opened(socket)
	}
}

func socket(network, address string) string {
	_, port, _ := net.SplitHostPort(address)
	return network + ":" + port
}
