package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// forwardDial bounds how long the other end may take to accept a forwarded connection.
const forwardDial = 5 * time.Second

// way opens the other end of a forwarded connection.
type way func(ctx context.Context) (halfCloser, error)

// startForwards serves the forwarded addresses: on the node's own stack when they are its own, beside its host ports, else on a stack that owns
// them.
func (n *Network) startForwards() error {
	byAddr := map[netip.Addr]map[uint16]string{}
	for a, host := range n.cfg.Forwards {
		if byAddr[a.Addr()] == nil {
			byAddr[a.Addr()] = map[uint16]string{}
		}
		byAddr[a.Addr()][a.Port()] = host
	}
	for _, addr := range slices.SortedFunc(maps.Keys(byAddr), netip.Addr.Compare) {
		if addr == n.cfg.NodeIP {
			continue
		}
		st, err := n.newStack(addr)
		if err != nil {
			return fmt.Errorf("forward %s: %w", addr, err)
		}
		n.gateways = append(n.gateways, st)
		n.forward(st, toHost(byAddr[addr]))
	}
	own := toHost(byAddr[n.cfg.NodeIP])
	n.forward(n.host, func(id stack.TransportEndpointID) way {
		if w := own(id); w != nil {
			return w
		}
		return n.toPod(id)
	})
	n.forwardUDP()
	return nil
}

// toHost finds the ways to the host's addresses by their ports.
func toHost(ports map[uint16]string) func(stack.TransportEndpointID) way {
	return func(id stack.TransportEndpointID) way {
		address, ok := ports[id.LocalPort]
		if !ok {
			return nil
		}
		return func(ctx context.Context) (halfCloser, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return conn.(*net.TCPConn), nil
		}
	}
}

// forward answers a SYN to a port of st that nobody listens on, if find knows a way, by opening that way first: what refuses there is refused here
// too.
func (n *Network) forward(st *podStack, find func(stack.TransportEndpointID) way) {
	f := tcp.NewForwarder(st.s, 0, 1024, func(r *tcp.ForwarderRequest) {
		open := find(r.ID())
		if open == nil {
			r.Complete(true)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), forwardDial)
		defer cancel()
		out, err := open(ctx)
		if err != nil {
			n.log.Debug("forward refused", "port", r.ID().LocalPort, "err", err)
			r.Complete(true)
			return
		}
		wq := &waiter.Queue{}
		ep, terr := r.CreateEndpoint(wq)
		r.Complete(false)
		if terr != nil {
			out.Close()
			return
		}
		join(gonet.NewTCPConn(wq, ep), out)
	})
	st.s.SetTransportProtocolHandler(tcp.ProtocolNumber, f.HandlePacket)
}

// halfCloser is a connection whose directions end one by one.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// join copies both ways until both have ended, passing on each end of file.
func join(a, b halfCloser) {
	one := func(to, from halfCloser, done chan<- struct{}) {
		_, err := io.Copy(to, from)
		if err != nil && !errors.Is(err, io.EOF) {
			from.Close()
			to.Close()
		} else {
			_ = to.CloseWrite()
		}
		close(done)
	}
	left, right := make(chan struct{}), make(chan struct{})
	go one(a, b, left)
	go one(b, a, right)
	<-left
	<-right
	a.Close()
	b.Close()
}
