package network

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"k8s.io/utils/clock"
)

// route sends a packet on, if connection tracking and policies admit it, and takes over its reference: to a stack of this node, to the node whose range holds the
// destination, or nowhere. An address of this node's range that no pod has is answered as Linux does, with "no route to host" once address
// resolution has given up. Anything else is lost: beyond the cluster there is nothing.
func (n *Network) route(f frame) {
	if !n.admits(&f) {
		f.release()
		return
	}
	if l := (*n.routes.Load())[f.dst]; l != nil {
		l.deliver(f)
		return
	}
	dst := netip.AddrFrom4(f.dst)
	if n.cfg.PodCIDR.Contains(dst) {
		n.arp.add(f)
		return
	}
	if n.wire == nil {
		f.release()
		return
	}
	for _, p := range n.passing(f) {
		if !n.wire.send(dst, p) {
			p.release()
		}
	}
}

// resolveTime is how long Linux asks for an address (3 probes, a second apart) before it reports the host unreachable.
const resolveTime = 3 * time.Second

// maxUnresolved bounds how many senders wait for an address that nobody has.
const maxUnresolved = 1024

// unresolved holds the packets to addresses that nobody has, one for each connection, until address resolution fails.
type unresolved struct {
	net *Network

	mu      sync.Mutex
	waiting map[flow]clock.Timer
	closed  bool
}

func newUnresolved(n *Network) *unresolved {
	return &unresolved{net: n, waiting: map[flow]clock.Timer{}}
}

// add takes over the packet's reference.
func (u *unresolved) add(f frame) {
	defer f.release()
	if f.proto == uint8(header.ICMPv4ProtocolNumber) {
		return
	}
	head := make([]byte, header.IPv4MaximumHeaderSize+8)
	view := f.pkt.ToView()
	head = head[:copy(head, view.AsSlice())]
	view.Release()
	if len(head) < header.IPv4MinimumSize {
		return
	}
	// An ICMP error carries the IP header and the first 8 bytes behind it (RFC 792).
	head = head[:min(len(head), int(head[0]&0xf)*4+8)]
	key, src := f.flow, f.src
	key.flags = 0
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || len(u.waiting) >= maxUnresolved || u.waiting[key] != nil {
		return
	}
	u.waiting[key] = u.net.clock.AfterFunc(resolveTime, func() {
		u.mu.Lock()
		delete(u.waiting, key)
		closed := u.closed
		u.mu.Unlock()
		if !closed {
			u.net.route(hostUnreachable(u.net.cfg.NodeIP.As4(), src, head))
		}
	})
}

func (u *unresolved) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, t := range u.waiting {
		t.Stop()
	}
}

// hostUnreachable makes the ICMP error "destination host unreachable" about the packet that begins with original.
func hostUnreachable(from, to [4]byte, original []byte) frame {
	b := make([]byte, header.IPv4MinimumSize+header.ICMPv4MinimumSize+len(original))
	b[0], b[8], b[9] = 0x45, 64, uint8(header.ICMPv4ProtocolNumber)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b[:header.IPv4MinimumSize], 0))
	icmp := b[header.IPv4MinimumSize:]
	icmp[0], icmp[1] = uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4HostUnreachable)
	copy(icmp[header.ICMPv4MinimumSize:], original)
	binary.BigEndian.PutUint16(icmp[2:], ^checksum.Checksum(icmp, 0))
	return frame{
		flow: flow{src: from, dst: to, proto: uint8(header.ICMPv4ProtocolNumber)},
		pkt:  stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)}),
	}
}
