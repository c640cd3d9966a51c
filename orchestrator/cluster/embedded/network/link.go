package network

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// frame is one IP packet on its way. Whoever holds a frame owns one reference of its buffer.
type frame struct {
	flow
	pkt *stack.PacketBuffer // a fresh packet: IP header and payload are its data.
	mss uint16              // segment size when the packet is to be seen as several (segmentation offload), else 0.

	class int  // of a queueing discipline, while it is queued.
	bad   bool // a bit was flipped on the way: the receiver's checksum will not match.
}

// size is the length that queueing disciplines count: with the Ethernet header that the packet would have.
func (f *frame) size() int { return f.pkt.Size() + header.EthernetMinimumSize }

func (f *frame) release() { f.pkt.DecRef() }

// flow is what packet filters match.
type flow struct {
	src, dst         [4]byte
	proto            uint8
	flags            uint8 // of TCP.
	part             bool  // a fragment other than the first: its ports are not known.
	srcPort, dstPort uint16
}

// parseFlow reads an IP packet's addresses, and the ports when the packet holds them (a later fragment does not).
func parseFlow(ip, transport []byte) (flow, bool) {
	if len(ip) < header.IPv4MinimumSize || ip[0]>>4 != 4 {
		return flow{}, false
	}
	f := flow{src: [4]byte(ip[12:16]), dst: [4]byte(ip[16:20]), proto: ip[9]}
	if f.part = binary.BigEndian.Uint16(ip[6:])&0x1fff != 0; f.part || len(transport) < 4 {
		return f, true
	}
	if f.proto == uint8(header.TCPProtocolNumber) || f.proto == uint8(header.UDPProtocolNumber) {
		f.srcPort, f.dstPort = binary.BigEndian.Uint16(transport), binary.BigEndian.Uint16(transport[2:])
	}
	if f.proto == uint8(header.TCPProtocolNumber) && len(transport) >= header.TCPMinimumSize {
		f.flags = transport[13]
	}
	return f, true
}

// link is a stack's eth0: the place where its packets meet the switch, and where packet effects act.
type link struct {
	net        *Network
	addr       netip.Addr
	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	effects    atomic.Pointer[effects] // nil when there are none.
	// egress and ingress are the bandwidth limits at the node's end of the link; nil when there is none. They never change.
	egress, ingress *device

	// sent and received count what shortcuts carry past the stack.
	sent, received counter

	mu    sync.Mutex // guards changes of effects.
	state effectState
}

var (
	_ stack.LinkEndpoint = (*link)(nil)
	_ stack.GSOEndpoint  = (*link)(nil)
)

func newLink(n *Network, addr netip.Addr) *link { return &link{net: n, addr: addr} }

// WritePackets sends the stack's packets to the switch. It is called by many goroutines and delivers in the caller's: the receiving stack only queues.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		transport := pkt.TransportHeader().Slice()
		if len(transport) == 0 { // A fragment holds the whole datagram's header as data.
			transport, _ = pkt.Data().PullUp(min(pkt.Data().Size(), header.TCPMinimumSize))
		}
		fl, ok := parseFlow(pkt.NetworkHeader().Slice(), transport)
		if !ok {
			continue
		}
		eff := l.effects.Load()
		if eff != nil && eff.drops(Output, &fl) {
			continue
		}
		f := frame{flow: fl, pkt: stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: pkt.ToBuffer()})}
		if pkt.GSOOptions.Type != stack.GSONone && f.pkt.Size() > l.net.cfg.MTU {
			f.mss = pkt.GSOOptions.MSS
		}
		if eff != nil && eff.queue != nil {
			eff.queue.send(f, eff.class(&f.flow))
			continue
		}
		l.leave(f)
	}
	return pkts.Len(), nil
}

// leave takes over a packet that has left the pod's own network.
func (l *link) leave(f frame) {
	if l.egress != nil {
		l.egress.send(f, -1)
		return
	}
	l.net.route(f)
}

// deliver takes over a packet for the pod.
func (l *link) deliver(f frame) {
	if l.ingress != nil {
		l.ingress.send(f, -1)
		return
	}
	l.enter(f)
}

// enter hands a packet to the stack, and takes over its reference.
func (l *link) enter(f frame) {
	defer f.release()
	if eff := l.effects.Load(); eff != nil && eff.drops(Input, &f.flow) {
		return
	}
	if d := l.dispatcher.Load(); d != nil {
		(*d).DeliverNetworkPacket(header.IPv4ProtocolNumber, f.pkt)
	}
}

// shut stops the link: nothing is delivered any more and queued packets are dropped.
func (l *link) shut() {
	l.dispatcher.Store(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = effectState{}
	l.install(nil)
	for _, d := range []*device{l.egress, l.ingress} {
		if d != nil {
			d.close()
		}
	}
}

// Attach implements stack.LinkEndpoint.
func (l *link) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&d)
}

// IsAttached implements stack.LinkEndpoint.
func (l *link) IsAttached() bool { return l.dispatcher.Load() != nil }

// MTU implements stack.LinkEndpoint.
func (l *link) MTU() uint32 { return uint32(l.net.cfg.MTU) }

// SetMTU implements stack.LinkEndpoint; a running link keeps its own.
func (*link) SetMTU(uint32) {}

// GSOMaxSize implements stack.GSOEndpoint.
func (*link) GSOMaxSize() uint32 { return gsoSize }

// SupportedGSO implements stack.GSOEndpoint.
func (*link) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// Capabilities implements stack.LinkEndpoint: nothing on the way can change a byte, so nobody computes checksums.
func (*link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload | stack.CapabilityTXChecksumOffload
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (*link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (*link) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.LinkEndpoint.
func (*link) SetLinkAddress(tcpip.LinkAddress) {}

// Wait implements stack.LinkEndpoint.
func (*link) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint: there is no link layer.
func (*link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (*link) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (*link) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.LinkEndpoint.
func (*link) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (*link) SetOnCloseAction(func()) {}
