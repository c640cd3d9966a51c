package network

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Service is what the service proxy knows of one Service that has an address of its own.
type Service struct {
	// Name is namespace/name.
	Name string
	// IPs are the addresses at which Ports are served: cluster, external and load balancer IPs.
	IPs []netip.Addr
	// Affinity keeps a client on its endpoint for so long after its last connection; 0 means none.
	Affinity time.Duration
	// InternalLocal and ExternalLocal restrict a node to its own endpoints (internalTrafficPolicy and externalTrafficPolicy Local), for
	// IPs and for node ports.
	InternalLocal, ExternalLocal bool
	Ports                        []ServicePort
}

// ServicePort is one port of a Service.
type ServicePort struct {
	// Protocol is TCP or UDP.
	Protocol string
	Port     uint16
	// NodePort is served at every node's address; 0 means none.
	NodePort  uint16
	Endpoints []Endpoint
}

// Endpoint is one backend of a Service, with the conditions of its EndpointSlice.
type Endpoint struct {
	Addr  netip.AddrPort
	Node  string
	Ready bool
	// Serving and Terminating make an endpoint a fall-back while no endpoint is ready.
	Serving, Terminating bool
}

// frontend is an address that is translated.
type frontend struct {
	proto tcpip.TransportProtocolNumber
	addr  netip.AddrPort
}

type backends struct {
	service  string
	affinity time.Duration
	list     []netip.AddrPort
}

type affinityKey struct {
	service string
	port    frontend
	client  netip.Addr
}

type affinity struct {
	to   netip.AddrPort
	last time.Time
}

// services translates Services' addresses to endpoints.
type services struct {
	net   *Network
	table atomic.Pointer[map[frontend]*backends]

	mu     sync.Mutex
	rand   *rand.Rand
	sticky map[affinityKey]affinity
}

func newServices(n *Network) *services {
	s := &services{net: n, rand: newRand(n.cfg.Seed), sticky: map[affinityKey]affinity{}}
	s.table.Store(&map[frontend]*backends{})
	return s
}

func newRand(seed uint64) *rand.Rand {
	if seed == 0 {
		seed = rand.Uint64()
	}
	return rand.New(rand.NewPCG(seed, seed))
}

// SetServices replaces all Services. Connections that are established stay where they are.
func (n *Network) SetServices(list []Service) {
	table := map[frontend]*backends{}
	for _, svc := range list {
		for _, port := range svc.Ports {
			var proto tcpip.TransportProtocolNumber
			switch port.Protocol {
			case "TCP":
				proto = tcp.ProtocolNumber
			case "UDP":
				proto = udp.ProtocolNumber
			default:
				continue
			}
			internal := &backends{svc.Name, svc.Affinity, usable(port.Endpoints, svc.InternalLocal, n.cfg.NodeName)}
			for _, ip := range svc.IPs {
				table[frontend{proto, netip.AddrPortFrom(ip, port.Port)}] = internal
			}
			if port.NodePort == 0 {
				continue
			}
			external := &backends{svc.Name, svc.Affinity, usable(port.Endpoints, svc.ExternalLocal, n.cfg.NodeName)}
			table[frontend{proto, netip.AddrPortFrom(n.cfg.NodeIP, port.NodePort)}] = external
			for _, p := range n.cfg.Peers {
				remote := external
				if svc.ExternalLocal {
					remote = &backends{svc.Name, svc.Affinity, usable(port.Endpoints, true, p.Name)}
				}
				table[frontend{proto, netip.AddrPortFrom(p.NodeIP, port.NodePort)}] = remote
			}
		}
	}
	n.services.set(table)
}

// usable picks the endpoints that take traffic, as kube-proxy does: the ready ones, or those that still serve while they terminate when none is ready;
// of the node only when local is set.
func usable(all []Endpoint, local bool, node string) []netip.AddrPort {
	var ready, fallback []netip.AddrPort
	for _, e := range all {
		switch {
		case local && e.Node != node:
		case e.Ready:
			ready = append(ready, e.Addr)
		case e.Serving && e.Terminating:
			fallback = append(fallback, e.Addr)
		}
	}
	if len(ready) == 0 {
		return fallback
	}
	return ready
}

func (s *services) set(table map[frontend]*backends) {
	s.table.Store(&table)
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, a := range s.sticky {
		if b := table[k.port]; b == nil || b.service != k.service || !slices.Contains(b.list, a.to) {
			delete(s.sticky, k)
		}
	}
}

// has says whether the address is a Service's.
func (s *services) has(proto tcpip.TransportProtocolNumber, to netip.AddrPort) bool {
	return (*s.table.Load())[frontend{proto, to}] != nil
}

// serves says whether target is one of the endpoints of the Service at to.
func (s *services) serves(proto tcpip.TransportProtocolNumber, to, target netip.AddrPort) bool {
	b := (*s.table.Load())[frontend{proto, to}]
	return b != nil && slices.Contains(b.list, target)
}

// translate returns the address to connect to: to itself unless it is a Service's. ok is false for a Service without endpoints.
func (s *services) translate(proto tcpip.TransportProtocolNumber, client netip.Addr, to netip.AddrPort) (target netip.AddrPort, ok bool) {
	fe := frontend{proto, to}
	b := (*s.table.Load())[fe]
	if b == nil {
		return to, true
	}
	if len(b.list) == 0 {
		return netip.AddrPort{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.affinity == 0 {
		return b.list[s.rand.IntN(len(b.list))], true
	}
	now, key := s.net.clock.Now(), affinityKey{b.service, fe, client}
	a, known := s.sticky[key]
	if !known || now.Sub(a.last) > b.affinity || !slices.Contains(b.list, a.to) {
		a.to = b.list[s.rand.IntN(len(b.list))]
	}
	a.last = now
	s.sticky[key] = a
	return a.to, true
}
