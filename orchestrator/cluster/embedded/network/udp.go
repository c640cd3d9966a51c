package network

import (
	"bytes"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// maxFlows bounds how many Service addresses one unconnected UDP socket remembers.
const maxFlows = 1024

// datagrams pools buffers that hold one datagram and its header.
var datagrams = sync.Pool{New: func() any { b := make([]byte, sandbox.FrameHeader+sandbox.MaxDatagram); return &b }}

// packets moves datagrams between a UDP endpoint of the stack and the container process.
type packets struct {
	id   uint64
	s    *session
	e    endpoint
	file *os.File
	once sync.Once
	gone chan struct{}
	to   netip.AddrPort // the peer as the process knows it, when connected.

	mu    sync.Mutex
	flows map[netip.AddrPort]netip.AddrPort // Service address to the endpoint in use.
	names map[netip.AddrPort]netip.AddrPort // and back.
}

func (s *session) dialUDP(to netip.AddrPort) opened {
	to = orLoopback(to)
	target, ok := s.st.net.services.translate(udp.ProtocolNumber, s.st.addr, to)
	if !ok {
		// kube-proxy rejects the datagram, not the connect: the error comes back on the socket.
		return s.udp(netip.AddrPort{}, netip.AddrPort{}, to)
	}
	return s.udp(netip.AddrPort{}, target, to)
}

func (s *session) packet(at netip.AddrPort) opened {
	return s.udp(at, netip.AddrPort{}, netip.AddrPort{})
}

// udp opens a UDP socket bound to at and connected to target, which the process knows as to.
func (s *session) udp(at, target, to netip.AddrPort) opened {
	if !at.IsValid() && !target.IsValid() {
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	e, errno := s.st.openUDP(at, target)
	if errno != 0 {
		return refused(errno)
	}
	file, fd, err := pair(syscall.SOCK_SEQPACKET)
	if err != nil {
		e.Close()
		return refused(asErrno(err))
	}
	local, _ := e.GetLocalAddress()
	p := &packets{
		id: s.newConn(), s: s, e: e, file: file, gone: make(chan struct{}), flows: map[netip.AddrPort]netip.AddrPort{}, names: map[netip.AddrPort]netip.AddrPort{},
	}
	if target.IsValid() {
		p.to = to
	}
	if !s.own(p.id, socket{p.close, false}) {
		p.close()
		syscall.Close(fd)
		return refused(syscall.ECANCELED)
	}
	return opened{reply: sandbox.Reply{Conn: p.id, Local: addrPort(local), Remote: to}, fds: []int{fd}, start: p.start, abort: p.close}
}

func (p *packets) start() {
	go p.toProcess()
	go p.toNetwork()
}

func (p *packets) close() {
	p.once.Do(func() {
		close(p.gone)
		p.s.disown(p.id)
		p.e.Close()
		p.file.Close()
	})
}

// toProcess passes on what arrives. While the process does not read, the stack's receive buffer fills and then loses datagrams.
func (p *packets) toProcess() {
	defer p.close()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	p.e.wq.EventRegister(&entry)
	defer p.e.wq.EventUnregister(&entry)
	for {
		buf := datagrams.Get().(*[]byte)
		w := tcpip.SliceWriter((*buf)[sandbox.FrameHeader:])
		res, terr := p.e.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
		var err error
		switch terr.(type) {
		case nil:
			sandbox.PutFrame(*buf, p.peerName(addrPort(res.RemoteAddr)), 0)
			_, err = p.file.Write((*buf)[:sandbox.FrameHeader+res.Count])
		case *tcpip.ErrWouldBlock:
			datagrams.Put(buf)
			select {
			case <-ready:
			case <-p.gone:
				return
			}
			continue
		case *tcpip.ErrClosedForReceive, *tcpip.ErrInvalidEndpointState, *tcpip.ErrNotConnected:
			datagrams.Put(buf)
			return
		default:
			err = p.report(p.to, errnoOf(terr))
		}
		datagrams.Put(buf)
		if err != nil {
			return
		}
	}
}

// report tells the process of an error, as recv(2) would.
func (p *packets) report(peer netip.AddrPort, errno syscall.Errno) error {
	var b [sandbox.FrameHeader]byte
	sandbox.PutFrame(b[:], peer, errno)
	_, err := p.file.Write(b[:])
	return err
}

// toNetwork sends what the process writes.
func (p *packets) toNetwork() {
	defer p.close()
	for {
		// A blocked read holds no buffer of the pool: os.File reads once the socket is readable, into a buffer taken then.
		buf, n, err := p.read()
		if err != nil || n == 0 {
			if buf != nil {
				datagrams.Put(buf)
			}
			return
		}
		to, _, payload, ok := sandbox.ParseFrame((*buf)[:n])
		if ok {
			err = p.send(to, payload)
		}
		datagrams.Put(buf)
		if err != nil {
			return
		}
	}
}

func (p *packets) read() (buf *[]byte, n int, err error) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var rerr error
	err = raw.Read(func(fd uintptr) bool {
		buf = datagrams.Get().(*[]byte)
		for {
			n, rerr = syscall.Read(int(fd), *buf)
			if rerr == syscall.EINTR {
				continue
			}
			if rerr == syscall.EAGAIN {
				datagrams.Put(buf)
				buf = nil
				return false
			}
			return true
		}
	})
	if err == nil {
		err = rerr
	}
	return buf, n, err
}

// send sends one datagram. Errors of the network are reported to the process; an error that is returned is the end of its socket.
func (p *packets) send(to netip.AddrPort, payload []byte) error {
	opts := tcpip.WriteOptions{Atomic: true}
	if !p.to.IsValid() {
		target, ok := p.endpointOf(to)
		if !ok {
			return p.report(to, syscall.ECONNREFUSED)
		}
		full := fullAddress(orLoopback(target))
		opts.To = &full
	}
	var r bytes.Reader
	r.Reset(payload)
	_, terr := p.e.Write(&r, opts)
	switch terr.(type) {
	case nil, *tcpip.ErrWouldBlock, *tcpip.ErrNoBufferSpace:
		return nil // a full send buffer loses the datagram, as a full queue does.
	case *tcpip.ErrClosedForSend, *tcpip.ErrInvalidEndpointState:
		return os.ErrClosed
	}
	return p.report(to, errnoOf(terr))
}

// endpointOf translates a Service's address for an unconnected socket: the endpoint stays the same while the Service has it.
func (p *packets) endpointOf(to netip.AddrPort) (netip.AddrPort, bool) {
	svc := p.s.st.net.services
	if !svc.has(udp.ProtocolNumber, to) {
		return to, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if target, ok := p.flows[to]; ok && svc.serves(udp.ProtocolNumber, to, target) {
		return target, true
	}
	target, ok := svc.translate(udp.ProtocolNumber, p.s.st.addr, to)
	if !ok {
		return target, false
	}
	if len(p.flows) >= maxFlows {
		clear(p.flows)
		clear(p.names)
	}
	p.flows[to], p.names[target] = target, to
	return target, true
}

// peerName is the address under which the process knows the sender of a datagram.
func (p *packets) peerName(from netip.AddrPort) netip.AddrPort {
	if p.to.IsValid() {
		return p.to
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if name, ok := p.names[from]; ok {
		return name
	}
	return from
}
