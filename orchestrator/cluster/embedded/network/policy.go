package network

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// PodPolicy is what the NetworkPolicies say about one pod of the node.
type PodPolicy struct{ Ingress, Egress Policy }

// Policy is one direction of a PodPolicy. A pod that is not isolated in a direction takes everything.
type Policy struct {
	Isolated bool
	// Allow are the connections that an isolated pod takes; one rule has to hold.
	Allow []PolicyRule
}

// PolicyRule allows connections with some peers on some ports.
type PolicyRule struct {
	// AnyPeer allows every peer; else one of Peers has to hold its address.
	AnyPeer bool
	Peers   []PolicyPeer
	// Ports are the destination's; none means all ports of all protocols.
	Ports []PolicyPort
}

// PolicyPeer is a network without parts of it.
type PolicyPeer struct {
	Net    netip.Prefix
	Except []netip.Prefix
}

// PolicyPort is a range of ports of TCP or UDP; another protocol is never seen on this network.
type PolicyPort struct {
	Protocol string
	PortRange
}

// policies are the compiled policies of the node's pods. They are never changed, only replaced.
type policies struct {
	node [4]byte
	pods map[[4]byte]*isolation
}

// isolation holds the directions in which a pod is isolated; nil means that it is not.
type isolation struct{ in, out *allowed }

type allowed struct{ rules []allowRule }

type allowRule struct {
	any   bool
	hosts map[[4]byte]struct{} // the peers that are one address.
	nets  []PolicyPeer
	ports []protocolPorts
}

type protocolPorts struct {
	proto uint8
	PortRange
}

// SetPolicies replaces the policies of the node's pods, by address. When it returns, no connection that they forbid carries a byte any
// more: established ones are not reset, their packets are dropped, whether they are new or were allowed before.
//
// A connection is judged by who opened it, and its replies pass. What a pod says to itself, and what passes between a pod and its own node,
// such as the kubelet's probes, is always allowed.
func (n *Network) SetPolicies(pods map[netip.Addr]PodPolicy) {
	p := &policies{node: n.cfg.NodeIP.As4(), pods: map[[4]byte]*isolation{}}
	for addr, pod := range pods {
		if addr.Is4() && (pod.Ingress.Isolated || pod.Egress.Isolated) {
			p.pods[addr.As4()] = &isolation{in: pod.Ingress.compile(), out: pod.Egress.compile()}
		}
	}
	n.policies.Store(p)
	n.shortcuts.enforce()
}

func (p *Policy) compile() *allowed {
	if !p.Isolated {
		return nil
	}
	a := &allowed{}
	for _, r := range p.Allow {
		c := allowRule{any: r.AnyPeer, hosts: map[[4]byte]struct{}{}}
		for _, peer := range r.Peers {
			switch {
			case !peer.Net.Addr().Is4():
			case peer.Net.IsSingleIP() && len(peer.Except) == 0:
				c.hosts[peer.Net.Addr().As4()] = struct{}{}
			default:
				c.nets = append(c.nets, peer)
			}
		}
		for _, port := range r.Ports {
			c.ports = append(c.ports, protocolPorts{protocolNumber(port.Protocol), port.PortRange})
		}
		a.rules = append(a.rules, c)
	}
	return a
}

// protocolNumber is 0 for a protocol that the stacks do not speak.
func protocolNumber(name string) uint8 {
	switch name {
	case "TCP":
		return uint8(header.TCPProtocolNumber)
	case "UDP":
		return uint8(header.UDPProtocolNumber)
	}
	return 0
}

// allows judges a connection in the direction in which it was opened.
func (p *policies) allows(t tuple) bool {
	if len(p.pods) == 0 || t.src == p.node || t.dst == p.node {
		return true
	}
	if i := p.pods[t.src]; i != nil && i.out != nil && !i.out.allows(t.dst, &t) {
		return false
	}
	i := p.pods[t.dst]
	return i == nil || i.in == nil || i.in.allows(t.src, &t)
}

func (a *allowed) allows(peer [4]byte, t *tuple) bool {
	for i := range a.rules {
		if a.rules[i].holds(peer) && a.rules[i].serves(t) {
			return true
		}
	}
	return false
}

func (r *allowRule) holds(peer [4]byte) bool {
	if r.any {
		return true
	}
	if _, ok := r.hosts[peer]; ok {
		return true
	}
	addr := netip.AddrFrom4(peer)
next:
	for _, n := range r.nets {
		if !n.Net.Contains(addr) {
			continue
		}
		for _, e := range n.Except {
			if e.Contains(addr) {
				continue next
			}
		}
		return true
	}
	return false
}

func (r *allowRule) serves(t *tuple) bool {
	for _, p := range r.ports {
		if p.proto == t.proto && p.First <= t.dstPort && t.dstPort <= p.Last {
			return true
		}
	}
	return len(r.ports) == 0
}

// admits says whether a packet passes the node's connection tracking and its pods' policies.
func (n *Network) admits(f *frame) bool {
	switch {
	case f.part:
		return true // Without the first fragment nobody can make use of it.
	case f.proto == uint8(header.ICMPv4ProtocolNumber):
		return n.admitsICMP(f)
	}
	return n.conntrack.admits(&f.flow, n.policies.Load())
}

// admitsICMP lets an error pass with the connection that it is about.
func (n *Network) admitsICMP(f *frame) bool {
	pol := n.policies.Load()
	if pol.allows(f.tuple()) {
		return true
	}
	view := f.pkt.ToView()
	defer view.Release()
	b := view.AsSlice()
	at := headerLength(b) + header.ICMPv4MinimumSize
	if len(b) < at+header.IPv4MinimumSize || header.ICMPv4Type(b[at-header.ICMPv4MinimumSize]) != header.ICMPv4DstUnreachable {
		return false
	}
	about := b[at:]
	inner, ok := parseFlow(about, about[min(headerLength(about), len(about)):])
	return ok && n.conntrack.permits(inner.tuple(), pol)
}

// permits says whether the policies allow an established connection between these ends.
func (n *Network) permits(e ends) bool {
	pol := n.policies.Load()
	if len(pol.pods) == 0 {
		return true
	}
	return n.conntrack.permits(tuple{e.local.Addr().As4(), e.remote.Addr().As4(), e.local.Port(), e.remote.Port(), uint8(header.TCPProtocolNumber)}, pol)
}
