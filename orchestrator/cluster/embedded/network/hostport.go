package network

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Protocols of host ports.
const (
	protocolTCP = "TCP"
	protocolUDP = "UDP"
)

// HostPort is a port of the node that leads to one of a pod's. The pod sees the node as its client.
type HostPort struct {
	// Protocol is TCP or UDP.
	Protocol string
	// Address is the node's own or a loopback one; the zero address means all of them.
	Address netip.Addr
	// Port is the node's, To the pod's.
	Port, To uint16
}

// hostPorts are the ports of the node that lead to its pods.
type hostPorts struct {
	mu      sync.Mutex
	entries []hostPortEntry
	// relays are the flows of datagrams that are open, by the pods that they lead to.
	relays map[*relay]string
}

type hostPortEntry struct {
	HostPort
	pod  string
	addr netip.Addr
}

func (h *hostPorts) add(pod string, addr netip.Addr, ports []HostPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range ports {
		h.entries = append(h.entries, hostPortEntry{p, pod, addr})
	}
}

// remove forgets the ports of a pod, and ends what goes through them.
func (h *hostPorts) remove(pod string) {
	h.mu.Lock()
	h.entries = slices.DeleteFunc(h.entries, func(e hostPortEntry) bool { return e.pod == pod })
	var open []*relay
	for r, to := range h.relays {
		if to == pod {
			open = append(open, r)
		}
	}
	h.mu.Unlock()
	for _, r := range open {
		r.close()
	}
}

// find returns the pod, and the address there, that a port of the node leads to.
func (h *hostPorts) find(protocol string, id stack.TransportEndpointID) (pod string, to netip.AddrPort, ok bool) {
	local := netip.AddrFrom4(id.LocalAddress.As4())
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.entries {
		if e.Protocol == protocol && e.Port == id.LocalPort && (!e.Address.IsValid() || e.Address.IsUnspecified() || e.Address == local) {
			return e.pod, netip.AddrPortFrom(e.addr, e.To), true
		}
	}
	return "", netip.AddrPort{}, false
}

// toPod finds where a connection to a port of the node goes on.
func (n *Network) toPod(id stack.TransportEndpointID) way {
	_, to, ok := n.hostPorts.find(protocolTCP, id)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (halfCloser, error) {
		e, err := n.host.connectTCP(ctx, to)
		if err != nil {
			return nil, err
		}
		return gonet.NewTCPConn(e.wq, e.Endpoint), nil
	}
}

// forwardUDP relays the datagrams that come to host ports. Those to other ports are left to the stack.
func (n *Network) forwardUDP() {
	f := udp.NewForwarder(n.host.s, func(r *udp.ForwarderRequest) bool {
		pod, to, ok := n.hostPorts.find(protocolUDP, r.ID())
		if !ok {
			return false
		}
		wq := &waiter.Queue{}
		ep, terr := r.CreateEndpoint(wq)
		if terr != nil {
			return false
		}
		// The stack is delivering a packet: what opens sockets waits until it has.
		go n.relay(pod, to, gonet.NewUDPConn(wq, ep))
		return true
	})
	n.host.s.SetTransportProtocolHandler(udp.ProtocolNumber, func(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
		if _, _, ok := n.hostPorts.find(protocolUDP, id); !ok {
			return false // The forwarder would copy the packet first.
		}
		return f.HandlePacket(id, pkt)
	})
}

// relay carries the datagrams of one client to a pod and back.
type relay struct{ client, pod *gonet.UDPConn }

func (r *relay) close() {
	r.client.Close()
	r.pod.Close()
}

// relay carries datagrams until nothing has come from either side for as long as connection tracking remembers a stream of them, or the pod goes.
func (n *Network) relay(pod string, to netip.AddrPort, client *gonet.UDPConn) {
	e, errno := n.host.openUDP(netip.AddrPort{}, to)
	if errno != 0 {
		client.Close()
		return
	}
	r := &relay{client, gonet.NewUDPConn(e.wq, e.Endpoint)}
	defer r.close()
	n.hostPorts.mu.Lock()
	known := slices.ContainsFunc(n.hostPorts.entries, func(e hostPortEntry) bool { return e.pod == pod })
	if known {
		n.hostPorts.relays[r] = pod
	}
	n.hostPorts.mu.Unlock()
	if !known {
		return // The pod has gone in the meantime.
	}
	defer func() {
		n.hostPorts.mu.Lock()
		delete(n.hostPorts.relays, r)
		n.hostPorts.mu.Unlock()
	}()
	done := make(chan struct{}, 2)
	for _, way := range []struct{ from, to *gonet.UDPConn }{{r.client, r.pod}, {r.pod, r.client}} {
		go func() {
			copyDatagrams(way.to, way.from)
			done <- struct{}{}
		}()
	}
	<-done
	r.close()
	<-done
}

// maxDatagram is the largest payload of a UDP datagram over IPv4.
const maxDatagram = 65507

// copyDatagrams copies until nothing comes any more.
func copyDatagrams(to io.Writer, from *gonet.UDPConn) {
	buf := make([]byte, maxDatagram)
	for {
		if from.SetReadDeadline(time.Now().Add(udpStreamTimeout)) != nil {
			return
		}
		size, err := from.Read(buf)
		if err != nil {
			return
		}
		_, _ = to.Write(buf[:size]) // What cannot be delivered is lost, as datagrams are.
	}
}
