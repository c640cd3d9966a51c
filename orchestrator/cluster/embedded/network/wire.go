package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// wireQueue is how many packets wait for one peer before more are lost.
	wireQueue = 1024
	// wireBatch bounds how many packets go out with one system call.
	wireBatch = 64
	// wireStall is how long a peer may take no packet before the connection is given up: a stopped process, for instance.
	wireStall = 2 * time.Second
	// wireRetry is the pause between attempts to reach a peer.
	wireRetry = 100 * time.Millisecond
	// wireHeader precedes each packet: its length (4) and its segment size (2), big endian.
	wireHeader = 6
)

// wire carries packets between nodes: each node listens on a unix socket, and each peer keeps one connection to it. A peer that is gone or
// stopped loses packets; it never holds up the switch.
type wire struct {
	net       *Network
	listen    *net.UnixListener
	handovers *net.UnixListener
	ctx       context.Context
	cancel    context.CancelFunc
	peers     []*peer
	done      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

type peer struct {
	Peer
	queue chan frame
}

// owns says whether addr is the peer's or one of its pods'.
func (p *peer) owns(addr netip.Addr) bool { return p.NodeIP == addr || p.PodCIDR.Contains(addr) }

// peerOf returns the peer that addr belongs to, or nil.
func (w *wire) peerOf(addr netip.Addr) *peer {
	for _, p := range w.peers {
		if p.owns(addr) {
			return p
		}
	}
	return nil
}

func newWire(n *Network) (*wire, error) {
	if err := os.Remove(n.cfg.WireSocket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old wire socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: n.cfg.WireSocket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on wire: %w", err)
	}
	h, err := listenHandover(n.cfg.WireSocket)
	if err != nil {
		l.Close()
		return nil, err
	}
	w := &wire{net: n, listen: l, handovers: h, conns: map[net.Conn]struct{}{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	for _, p := range n.cfg.Peers {
		w.peers = append(w.peers, &peer{Peer: p, queue: make(chan frame, wireQueue)})
	}
	for _, p := range w.peers {
		w.done.Go(func() { w.feed(p) })
	}
	w.done.Go(w.accept)
	w.done.Go(w.acceptHandovers)
	return w, nil
}

func (w *wire) close() error {
	w.cancel()
	err := errors.Join(w.listen.Close(), w.handovers.Close())
	w.mu.Lock()
	for c := range w.conns {
		c.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
	for _, p := range w.peers {
		drain(p.queue)
	}
	if err != nil {
		return fmt.Errorf("close wire: %w", err)
	}
	return nil
}

func drain(q chan frame) {
	for {
		select {
		case f := <-q:
			f.release()
		default:
			return
		}
	}
}

// send queues the packet for the node that dst belongs to; false means that there is none and the caller keeps the packet.
func (w *wire) send(dst netip.Addr, f frame) bool {
	p := w.peerOf(dst)
	if p == nil {
		return false
	}
	select {
	case p.queue <- f:
	default:
		f.release()
	}
	return true
}

// track remembers a connection for close; false means that the wire is closed already.
func (w *wire) track(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		c.Close()
		return false
	}
	w.conns[c] = struct{}{}
	return true
}

func (w *wire) forget(c net.Conn) {
	c.Close()
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
}

// feed keeps a connection to a peer and writes its queue to it. While there is no connection, packets are lost.
func (w *wire) feed(p *peer) {
	for w.ctx.Err() == nil {
		c, err := (&net.Dialer{}).DialContext(w.ctx, "unix", p.WireSocket)
		if err == nil && w.track(c) {
			w.write(c.(*net.UnixConn), p)
			w.forget(c)
		}
		drain(p.queue)
		select {
		case <-w.ctx.Done():
		case <-time.After(wireRetry):
		}
	}
}

// write sends the queue until the connection fails or the wire is closed.
func (w *wire) write(c *net.UnixConn, p *peer) {
	// The peer never writes: the end of this read is how its death is noticed while there is nothing to send.
	gone := make(chan struct{})
	w.done.Go(func() {
		defer close(gone)
		_, _ = c.Read(make([]byte, 1))
	})
	buf := make([]byte, 0, 256<<10)
	for {
		select {
		case f := <-p.queue:
			buf = appendFrame(buf[:0], f)
		case <-gone:
			return
		case <-w.ctx.Done():
			return
		}
	fill:
		for range wireBatch - 1 {
			select {
			case f := <-p.queue:
				buf = appendFrame(buf, f)
			default:
				break fill
			}
		}
		_ = c.SetWriteDeadline(time.Now().Add(wireStall))
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// appendFrame serialises the packet behind b and releases it.
func appendFrame(b []byte, f frame) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(f.pkt.Size()))
	b = binary.BigEndian.AppendUint16(b, f.mss)
	for _, s := range f.pkt.AsSlices() {
		b = append(b, s...)
	}
	f.release()
	return b
}

func (w *wire) accept() {
	for {
		c, err := w.listen.Accept()
		if err != nil {
			if w.ctx.Err() == nil {
				w.net.log.Error("wire stopped", "err", err)
			}
			return
		}
		if w.track(c) {
			w.done.Go(func() {
				defer w.forget(c)
				if err := w.read(c); w.ctx.Err() == nil && !errors.Is(err, io.EOF) {
					w.net.log.Debug("wire from peer ended", "err", err)
				}
			})
		}
	}
}

// read delivers a peer's packets to this node's stacks until the connection ends; it returns why.
func (w *wire) read(c net.Conn) error {
	r := bufio.NewReaderSize(c, 256<<10)
	var head [wireHeader]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		size := int(binary.BigEndian.Uint32(head[:]))
		if size > 1<<16 {
			return fmt.Errorf("read packet of %d bytes: too long", size)
		}
		v := buffer.NewViewSize(size)
		if _, err := io.ReadFull(r, v.AsSlice()); err != nil {
			v.Release()
			return err
		}
		b := v.AsSlice()
		var transport []byte
		if n := headerLength(b); n <= len(b) {
			transport = b[n:]
		}
		fl, ok := parseFlow(b, transport)
		if !ok {
			v.Release()
			continue
		}
		w.net.arrive(frame{
			flow: fl, mss: binary.BigEndian.Uint16(head[4:]),
			pkt: stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)}),
		})
	}
}

func headerLength(ip []byte) int {
	if len(ip) == 0 {
		return 0
	}
	return int(ip[0]&0xf) * 4
}

// own says whether addr is the node's or in its pods' range.
func (n *Network) own(addr netip.Addr) bool {
	return addr == n.cfg.NodeIP || n.cfg.PodCIDR.Contains(addr)
}

// arrive takes a packet from the wire: only this node's own addresses are served, so that packets cannot go in circles.
func (n *Network) arrive(f frame) {
	if !n.own(netip.AddrFrom4(f.dst)) {
		f.release()
		return
	}
	for _, p := range n.passing(f) {
		n.route(p)
	}
}
