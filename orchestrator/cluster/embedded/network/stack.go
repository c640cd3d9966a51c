package network

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nicEth0 tcpip.NICID = 1
	nicLo   tcpip.NICID = 2

	// gsoSize is how much TCP sends at once, as it does on a veth pair with segmentation offload.
	gsoSize = 65000

	// timeWait is shorter than Linux's 60 s: every closed connection keeps an endpoint for so long, for every pod in one process.
	timeWait = 5 * time.Second
)

// podStack is one TCP/IP stack on the switch.
type podStack struct {
	net  *Network
	addr netip.Addr
	s    *stack.Stack
	link *link

	mu        sync.Mutex
	listeners map[uint16][]*listener // by port.
	proxies   map[uint16]ProxyFunc
	proxied   map[uint16]map[*proxiedConn]struct{} // open connections that proxies have taken over.
}

// localPorts is Linux's default of net.ipv4.ip_local_port_range.
var localPorts = PortRange{32768, 60999}

// newStack makes a stack with this address and puts it on the switch.
func (n *Network) newStack(addr netip.Addr) (*podStack, error) {
	return n.newPodStack(addr, PodConfig{})
}

// newPodStack is newStack with a pod's own settings.
func (n *Network) newPodStack(addr netip.Addr, cfg PodConfig) (*podStack, error) {
	st := &podStack{
		net: n, addr: addr, listeners: map[uint16][]*listener{}, proxies: map[uint16]ProxyFunc{}, proxied: map[uint16]map[*proxiedConn]struct{}{},
	}
	st.s = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
		HandleLocal:        true,
	})
	st.link = newLink(n, addr)
	st.link.limit(cfg.EgressRate, cfg.IngressRate)
	if cfg.LocalPorts == (PortRange{}) {
		cfg.LocalPorts = localPorts
	}
	if err := st.configure(cfg.LocalPorts, cfg.TCP); err != nil {
		st.s.Destroy()
		return nil, err
	}
	n.setRoute(addr, st.link)
	return st, nil
}

func (st *podStack) configure(ports PortRange, settings TCPSettings) error {
	if err := st.s.SetPortRange(ports.First, ports.Last); err != nil {
		return fmt.Errorf("set local port range %d to %d: %s", ports.First, ports.Last, err)
	}
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	// Selective acknowledgements recover what is lost, without RACK: with it the stack loses count of what is under way, takes
	// nothing to be, stops its timer, and the connection stands still for ever (gVisor issues 6113 and 14092).
	recovery := tcpip.TCPRecovery(0)
	congestion := tcpip.CongestionControlOption("cubic")
	settings = settings.orDefault()
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: settings.Receive.Min, Default: settings.Receive.Default, Max: settings.Receive.Max}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: settings.Send.Min, Default: settings.Send.Default, Max: settings.Send.Max}
	wait, linger := tcpip.TCPTimeWaitTimeoutOption(timeWait), tcpip.TCPLingerTimeoutOption(settings.FinTimeout)
	reuse := tcpip.TCPTimeWaitReuseOption(tcpip.TCPTimeWaitReuseGlobal)
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &recovery, &moderate, &congestion, &rcv, &snd, &wait, &linger, &reuse} {
		if err := st.s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("set TCP option %T: %s", o, err)
		}
	}
	if err := st.s.CreateNIC(nicEth0, st.link); err != nil {
		return fmt.Errorf("make eth0: %s", err)
	}
	if err := st.s.CreateNIC(nicLo, loopback.New()); err != nil {
		return fmt.Errorf("make lo: %s", err)
	}
	local := tcpip.AddrFrom4([4]byte{127, 0, 0, 1})
	if err := st.s.AddProtocolAddress(nicLo, protocolAddress(local, 8), stack.AddressProperties{}); err != nil {
		return fmt.Errorf("add loopback address: %s", err)
	}
	addr := tcpip.AddrFrom4(st.addr.As4())
	if err := st.s.AddProtocolAddress(nicEth0, protocolAddress(addr, 32), stack.AddressProperties{}); err != nil {
		return fmt.Errorf("add address %s: %s", st.addr, err)
	}
	lo, err := tcpip.NewSubnet(tcpip.AddrFrom4([4]byte{127}), tcpip.MaskFromBytes([]byte{255, 0, 0, 0}))
	if err != nil {
		return fmt.Errorf("make loopback route: %w", err)
	}
	st.s.SetRouteTable([]tcpip.Route{{Destination: lo, NIC: nicLo}, {Destination: header.IPv4EmptySubnet, NIC: nicEth0}})
	return nil
}

func protocolAddress(a tcpip.Address, bits int) tcpip.ProtocolAddress {
	return tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: a, PrefixLen: bits}}
}

// dropStack takes a stack off the switch and ends all that it holds open.
func (n *Network) dropStack(st *podStack) {
	n.setRoute(st.addr, nil)
	st.mu.Lock()
	var open []*listener
	for _, ls := range st.listeners {
		open = append(open, ls...)
	}
	st.mu.Unlock()
	for _, l := range open {
		l.close()
	}
	st.link.shut()
	st.s.Close()
	n.stacks.Add(1)
	go func() {
		defer n.stacks.Done()
		st.s.Wait()
	}()
}

// fullAddress turns an address into netstack's; the unspecified address is the empty one.
func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	out := tcpip.FullAddress{Port: a.Port()}
	if ip := a.Addr().Unmap(); ip.Is4() && !ip.IsUnspecified() {
		out.Addr = tcpip.AddrFrom4(ip.As4())
		if ip.IsLoopback() {
			out.NIC = nicLo
		}
	}
	return out
}

// addrPort turns netstack's address into ours; the empty address is the unspecified one.
func addrPort(a tcpip.FullAddress) netip.AddrPort {
	if a.Addr.Len() != 4 {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr.As4()), a.Port)
}
