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
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// forwardDial bounds how long the host may take to accept a forwarded connection.
const forwardDial = 5 * time.Second

// startForwards serves the forwarded addresses: on the node's own stack when they are its own, else on a stack that owns them.
func (n *Network) startForwards() error {
	byAddr := map[netip.Addr]map[uint16]string{}
	for a, host := range n.cfg.Forwards {
		if byAddr[a.Addr()] == nil {
			byAddr[a.Addr()] = map[uint16]string{}
		}
		byAddr[a.Addr()][a.Port()] = host
	}
	for _, addr := range slices.SortedFunc(maps.Keys(byAddr), netip.Addr.Compare) {
		st := n.host
		if addr != n.cfg.NodeIP {
			var err error
			if st, err = n.newStack(addr); err != nil {
				return fmt.Errorf("forward %s: %w", addr, err)
			}
			n.gateways = append(n.gateways, st)
		}
		n.forward(st, byAddr[addr])
	}
	return nil
}

// forward answers a SYN to a forwarded port of st by dialling the host first, so that a host port that refuses is refused here too.
func (n *Network) forward(st *podStack, ports map[uint16]string) {
	f := tcp.NewForwarder(st.s, 0, 1024, func(r *tcp.ForwarderRequest) {
		host, ok := ports[r.ID().LocalPort]
		if !ok {
			r.Complete(true)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), forwardDial)
		defer cancel()
		out, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			n.log.Debug("forward refused", "port", r.ID().LocalPort, "host", host, "err", err)
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
		join(gonet.NewTCPConn(wq, ep), out.(*net.TCPConn))
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
