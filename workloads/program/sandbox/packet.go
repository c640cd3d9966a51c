package sandbox

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// frames pools buffers that hold one datagram and its header.
var frames = sync.Pool{New: func() any { b := make([]byte, FrameHeader+MaxDatagram); return &b }}

// packetConn is a UDP socket of the pod.
type packetConn struct {
	*os.File
	client *Client
	id     uint64
	local  net.Addr
	remote netip.AddrPort // set when connected.
}

var (
	_ net.Conn       = (*packetConn)(nil)
	_ net.PacketConn = (*packetConn)(nil)
)

func newPacketConn(c *Client, a answer, connected bool) *packetConn {
	p := &packetConn{File: a.files[0], client: c, id: a.reply.Conn, local: addrOf("udp", a.reply.Local)}
	if connected {
		p.remote = a.reply.Remote
	}
	return p
}

func (p *packetConn) LocalAddr() net.Addr { return p.local }

func (p *packetConn) RemoteAddr() net.Addr {
	if !p.remote.IsValid() {
		return nil
	}
	return addrOf("udp", p.remote)
}

func (p *packetConn) Read(b []byte) (int, error) {
	n, _, err := p.ReadFromUDPAddrPort(b)
	return n, err
}

// ReadFrom reads one datagram and its sender.
func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort reads one datagram and its sender without allocating.
func (p *packetConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	n, err := p.File.Read(*buf)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = net.ErrClosed
		}
		return 0, netip.AddrPort{}, p.opError("read", err)
	}
	from, errno, payload, ok := ParseFrame((*buf)[:n])
	if !ok {
		return 0, netip.AddrPort{}, p.opError("read", io.ErrUnexpectedEOF)
	}
	if errno != 0 {
		return 0, netip.AddrPort{}, p.opError("read", os.NewSyscallError("read", errno))
	}
	return copy(b, payload), from, nil
}

func (p *packetConn) Write(b []byte) (int, error) {
	if !p.remote.IsValid() {
		return 0, p.opError("write", syscall.EDESTADDRREQ)
	}
	return p.WriteToUDPAddrPort(b, p.remote)
}

// WriteTo sends one datagram to addr, a *net.UDPAddr.
func (p *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	u, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, p.opError("write", syscall.EINVAL)
	}
	return p.WriteToUDPAddrPort(b, u.AddrPort())
}

// WriteToUDPAddrPort sends one datagram to addr.
func (p *packetConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if len(b) > MaxDatagram {
		return 0, p.opError("write", os.NewSyscallError("write", syscall.EMSGSIZE))
	}
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	PutFrame(*buf, addr, 0)
	n := copy((*buf)[FrameHeader:], b)
	if _, err := p.File.Write((*buf)[:FrameHeader+n]); err != nil {
		return 0, p.opError("write", err)
	}
	return n, nil
}

// Close frees the address of a bound socket before it returns, as close(2) does.
func (p *packetConn) Close() error {
	if !p.remote.IsValid() {
		p.client.free(p.id)
	}
	if err := p.File.Close(); err != nil {
		return p.opError("close", err)
	}
	return nil
}

func (p *packetConn) opError(op string, err error) error {
	e := &net.OpError{Op: op, Net: "udp", Source: p.local, Err: bare(err)}
	if p.remote.IsValid() {
		e.Addr = p.RemoteAddr()
	}
	return e
}
