// Package network is the userspace network of one node of the embedded cluster.
//
// Every pod has a TCP/IP stack of its own (gVisor's netstack), and so has the node. A switch carries IP packets between the
// stacks of a node; a wire of unix sockets carries them to the other nodes. So loss, delay, retransmission, refused connections and
// timeouts are those of real TCP and UDP, and need no privilege.
//
// Services are translated where a connection is made, as Cilium's socket load balancer does, and not packet by packet as
// kube-proxy's iptables rules do: a pod that dials a ClusterIP gets a connection to one endpoint, and the connection reports the
// ClusterIP as its peer. Packets therefore always carry the addresses of pods, which is also what the packet effects
// (SetIPSets, SetChains, SetQdiscs) match.
//
// Connections are made and ended by the stacks. In between, while no packet effect is in force at either end, the processes
// write into each other's pipes (type shortcut).
//
// Between the pods' eth0 and the switch is what a node does with its pods' packets: it tracks connections (Conntrack) and enforces
// policies (SetPolicies). The packet effects act before it on the way out and behind it on the way in, inside the pod's own network.
// A pod's bandwidth limits are in between: they shape what leaves the pod before it is tracked, and what is for the pod afterwards.
//
// Containers reach their pod's stack through the sandbox protocol (package sandbox, Pod.Serve); processes of the node through
// Pod.DialContext and Pod.Listen. The package knows nothing of Kubernetes: package serviceproxy tells it about Services.
package network

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"k8s.io/utils/clock"
)

// Config describes one node's network.
type Config struct {
	// NodeName is the node's name; Services with a local traffic policy compare it.
	NodeName string
	// NodeIP is the node's own address.
	NodeIP netip.Addr
	// PodCIDR is the range from which the node's pods get addresses.
	PodCIDR netip.Prefix
	// WireSocket is the unix socket on which the node takes packets from its peers. Empty means no wire.
	WireSocket string
	// Peers are the other nodes.
	Peers []Peer
	// Forwards map a userspace address to a TCP address of the host, for example 172.18.0.2:6443 to 127.0.0.1:41234.
	Forwards map[netip.AddrPort]string
	// MTU is that of every eth0, the node's own too; 0 means 1500.
	MTU int
	// UplinkMTU is the largest packet between this node and others; 0 means that it is no smaller than MTU.
	UplinkMTU int
	// ConntrackMax is the size of the connection tracking table; 0 is the default.
	ConntrackMax int
	// KernelLog takes what Linux would write into its kernel log; may be nil.
	KernelLog func(message string)
	// Logger takes what goes wrong; nil means slog.Default.
	Logger *slog.Logger
	// Clock drives the packet effects; nil is the real clock.
	Clock clock.WithDelayedExecution
	// Seed makes the packet effects' and the Services' randomness repeatable; 0 means random.
	Seed uint64
}

// Peer is another node.
type Peer struct {
	Name       string
	NodeIP     netip.Addr
	PodCIDR    netip.Prefix
	WireSocket string
}

// PodConfig describes a pod.
type PodConfig struct {
	// ID is the pod's unique identity, for example its sandbox ID.
	ID string
	// HostNetwork makes the pod share the node's own stack; what follows is without effect then.
	HostNetwork bool
	// EgressRate and IngressRate limit what the pod sends and receives, in bytes per second; 0 means no limit.
	EgressRate, IngressRate uint64
	// LocalPorts are the ports for connections that name none (net.ipv4.ip_local_port_range); the zero range is Linux's default.
	LocalPorts PortRange
	// HostPorts are the ports of the node that lead to the pod's, until it is removed.
	HostPorts []HostPort
	// TCP are what the pod's sysctls say of TCP.
	TCP TCPSettings
}

// Network is one node's network. It is safe for concurrent use.
type Network struct {
	cfg      Config
	log      *slog.Logger
	clock    clock.WithDelayedExecution
	host     *podStack
	wire     *wire
	services *services
	arp      *unresolved
	// shortcuts let connections without packet effects pass the stacks by.
	shortcuts *shortcuts
	conntrack *conntrack
	hostPorts hostPorts
	stacks    sync.WaitGroup // stacks that are being torn down.

	// routes is the switch's table, replaced as a whole so that the packet path takes no lock.
	routes atomic.Pointer[map[[4]byte]*link]
	// policies are those of the node's pods.
	policies atomic.Pointer[policies]

	mu       sync.Mutex
	closed   bool
	pods     map[string]*Pod
	gateways []*podStack // stacks that own the addresses of forwards.
	used     map[netip.Addr]bool
	last     netip.Addr
}

// ErrClosed is returned by operations on a Network that was closed.
var ErrClosed = errors.New("network is closed")

// New starts a node's network. Close releases it.
func New(cfg Config) (*Network, error) {
	n := &Network{
		cfg: cfg, log: cfg.Logger, clock: cfg.Clock, pods: map[string]*Pod{}, used: map[netip.Addr]bool{}, last: cfg.PodCIDR.Masked().Addr().Next(),
		hostPorts: hostPorts{relays: map[*relay]string{}},
	}
	if n.log == nil {
		n.log = slog.Default()
	}
	if n.clock == nil {
		n.clock = clock.RealClock{}
	}
	if n.cfg.MTU == 0 {
		n.cfg.MTU = defaultMTU
	}
	if n.cfg.UplinkMTU == 0 {
		n.cfg.UplinkMTU = n.cfg.MTU
	}
	if !cfg.NodeIP.Is4() || !cfg.PodCIDR.Addr().Is4() {
		return nil, fmt.Errorf("start network of node %q: node address %s and pod range %s must be IPv4", cfg.NodeName, cfg.NodeIP, cfg.PodCIDR)
	}
	n.routes.Store(&map[[4]byte]*link{})
	n.policies.Store(&policies{})
	n.conntrack = newConntrack(n)
	n.services = newServices(n)
	n.arp = newUnresolved(n)
	n.shortcuts = newShortcuts(n)
	host, err := n.newStack(cfg.NodeIP)
	if err != nil {
		return nil, fmt.Errorf("start network of node %q: %w", cfg.NodeName, err)
	}
	n.host = host
	if err := n.startForwards(); err != nil {
		n.Close()
		return nil, err
	}
	if cfg.WireSocket != "" {
		if n.wire, err = newWire(n); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

// Close tears down every pod, the node's stack and the wire. Connections and listeners that are open end.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	pods := n.pods
	n.pods = map[string]*Pod{}
	n.mu.Unlock()
	var err error
	if n.wire != nil {
		err = n.wire.close()
	}
	for id, p := range pods {
		n.hostPorts.remove(id)
		p.shut()
	}
	for _, g := range n.gateways {
		n.dropStack(g)
	}
	n.dropStack(n.host)
	n.arp.close()
	n.conntrack.close()
	n.stacks.Wait()
	return err
}

// AddPod gives a pod its stack and address. Adding a pod that exists returns it as it is.
func (n *Network) AddPod(cfg PodConfig) (*Pod, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if p, ok := n.pods[cfg.ID]; ok {
		return p, nil
	}
	p := &Pod{id: cfg.ID, net: n, st: n.host, sessions: map[*session]struct{}{}}
	if !cfg.HostNetwork {
		addr, err := n.allocate()
		if err != nil {
			return nil, fmt.Errorf("add pod %s: %w", cfg.ID, err)
		}
		if p.st, err = n.newPodStack(addr, cfg); err != nil {
			delete(n.used, addr)
			return nil, fmt.Errorf("add pod %s: %w", cfg.ID, err)
		}
		n.hostPorts.add(cfg.ID, p.st.addr, cfg.HostPorts)
	}
	n.pods[cfg.ID] = p
	return p, nil
}

// allocate takes the next free address of the pod range, in turn, so that an address is not used again at once.
func (n *Network) allocate() (netip.Addr, error) {
	first := n.cfg.PodCIDR.Masked().Addr().Next().Next() // .0 is the network's, .1 the gateway's.
	a := n.last
	for range len(n.used) + 3 {
		if a = a.Next(); !n.cfg.PodCIDR.Contains(a) || !n.cfg.PodCIDR.Contains(a.Next()) {
			a = first
		}
		if !n.used[a] {
			n.used[a], n.last = true, a
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s", n.cfg.PodCIDR)
}

// Pod returns the pod with this ID.
func (n *Network) Pod(id string) (*Pod, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.pods[id]
	return p, ok
}

// RemovePod tears a pod's stack down: what its processes hold open ends. Removing a pod that does not exist is no error.
func (n *Network) RemovePod(id string) error {
	n.mu.Lock()
	p, ok := n.pods[id]
	delete(n.pods, id)
	n.mu.Unlock()
	if !ok {
		return nil
	}
	n.hostPorts.remove(id)
	p.shut()
	n.mu.Lock()
	if p.st != n.host {
		n.conntrack.forget(p.st.addr)
		delete(n.used, p.st.addr)
	}
	n.mu.Unlock()
	return nil
}

// Host returns the node's own stack as a pod.
func (n *Network) Host() *Pod {
	return &Pod{id: "", net: n, st: n.host, sessions: map[*session]struct{}{}}
}

// setRoute makes the switch send addr's packets to l, or forget addr when l is nil.
func (n *Network) setRoute(addr netip.Addr, l *link) {
	for {
		old := n.routes.Load()
		table := maps.Clone(*old)
		if l == nil {
			delete(table, addr.As4())
		} else {
			table[addr.As4()] = l
		}
		if n.routes.CompareAndSwap(old, &table) {
			return
		}
	}
}
