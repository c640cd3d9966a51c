package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// handoverTime bounds one dealing between two nodes.
const handoverTime = 500 * time.Millisecond

// handover is one message between nodes about shortcuts. Each has a connection of its own, a socket of type SOCK_SEQPACKET, and is answered by
// one message: with the pipe, or with nothing beside it.
type handover struct {
	// Pipe asks for the pipe of the connection between Local and Remote, as the asked node sees it, when Sent bytes of packets have been
	// delivered to it.
	Pipe   bool           `json:"pipe,omitempty"`
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	Sent   uint64         `json:"sent,omitempty"`
	// Detach takes away all shortcuts from and to an address.
	Detach netip.Addr `json:"detach,omitzero"`
	// Received is what addresses of the asked node have received by shortcuts.
	Received map[netip.Addr]amount `json:"received,omitempty"`
}

// maxHandover bounds a message in bytes; a node's counters, the longest, are sent in parts.
const maxHandover = 64 << 10

// maxReceived is how many addresses one message counts for.
const maxReceived = 256

func handoverSocket(wire string) string { return wire + ".pipes" }

// listenHandover opens the node's socket for handovers.
func listenHandover(wire string) (*net.UnixListener, error) {
	path := handoverSocket(wire)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old handover socket: %w", err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen for handovers: %w", err)
	}
	return l, nil
}

// acceptHandovers serves the other nodes until the wire is closed.
func (w *wire) acceptHandovers() {
	for {
		c, err := w.handovers.AcceptUnix()
		if err != nil {
			return
		}
		if w.track(c) {
			w.done.Go(func() {
				defer w.forget(c)
				w.serveHandover(c)
			})
		}
	}
}

func (w *wire) serveHandover(c *net.UnixConn) {
	_ = c.SetDeadline(time.Now().Add(handoverTime))
	buf := make([]byte, maxHandover)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	var h handover
	if err := json.Unmarshal(buf[:n], &h); err != nil {
		w.net.log.Warn("peer sent garbage", "err", err)
		return
	}
	var fds []int
	switch {
	case h.Pipe:
		if fd := w.net.shortcuts.grant(ends{h.Local, h.Remote}, h.Sent); fd >= 0 {
			fds = []int{fd}
		}
	case h.Detach.IsValid():
		w.net.shortcuts.detachHere(h.Detach)
	default:
		for addr, a := range h.Received {
			if l := (*w.net.routes.Load())[addr.As4()]; l != nil {
				l.received.add(a)
			}
		}
	}
	_ = send(c, sandbox.Reply{}, fds)
	closeAll(fds)
}

// hand sends a message to a peer and waits for the answer. The descriptor is -1 when none came with it.
func (w *wire) hand(p *peer, h handover) (int, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return -1, fmt.Errorf("encode handover: %w", err)
	}
	d := net.Dialer{Timeout: handoverTime}
	conn, err := d.DialContext(w.ctx, "unixpacket", handoverSocket(p.WireSocket))
	if err != nil {
		return -1, fmt.Errorf("reach node %s: %w", p.Name, err)
	}
	defer conn.Close()
	c := conn.(*net.UnixConn)
	_ = c.SetDeadline(time.Now().Add(handoverTime))
	if _, err := c.Write(data); err != nil {
		return -1, fmt.Errorf("ask node %s: %w", p.Name, err)
	}
	buf, oob := make([]byte, sandbox.MaxMessage), make([]byte, syscall.CmsgSpace(4))
	_, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return -1, fmt.Errorf("hear node %s: %w", p.Name, err)
	}
	if msgs, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(msgs) == 1 {
		if fds, err := syscall.ParseUnixRights(&msgs[0]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, nil
}

// askPipe asks a peer for the pipe of the other end of e; -1 means not now.
func (w *wire) askPipe(p *peer, e ends, sent uint64) int {
	fd, err := w.hand(p, handover{Pipe: true, Local: e.remote, Remote: e.local, Sent: sent})
	if err != nil {
		w.net.log.Debug("no shortcut", "err", err)
	}
	return fd
}

// tellDetach makes the peers give up their shortcuts from and to addr, and waits until they have.
func (w *wire) tellDetach(addr netip.Addr) {
	for _, p := range w.peers {
		if _, err := w.hand(p, handover{Detach: addr}); err != nil {
			w.net.log.Debug("peer keeps its shortcuts", "err", err)
		}
	}
}

// tellReceived sends each peer the counters of its own addresses.
func (w *wire) tellReceived(all map[netip.Addr]amount) {
	for _, p := range w.peers {
		part := map[netip.Addr]amount{}
		flush := func() {
			if len(part) == 0 {
				return
			}
			if _, err := w.hand(p, handover{Received: part}); err != nil {
				w.net.log.Debug("counters are lost", "err", err)
			}
			part = map[netip.Addr]amount{}
		}
		for addr, a := range all {
			if !p.owns(addr) {
				continue
			}
			if part[addr] = a; len(part) == maxReceived {
				flush()
			}
		}
		flush()
	}
}
