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

// handover is one node's question to another for the pipe of the connection between Local and Remote, as the asked node sees it, when Sent
// bytes of packets have been delivered to it. Each has a connection of its own, a socket of type SOCK_SEQPACKET, and is answered by one message:
// with the descriptors of the pipe and its lease, or with nothing beside it.
type handover struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	Sent   uint64         `json:"sent"`
}

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
	buf := make([]byte, sandbox.MaxMessage)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	var h handover
	if err := json.Unmarshal(buf[:n], &h); err != nil {
		w.net.log.Warn("peer sent garbage", "err", err)
		return
	}
	fds := w.net.shortcuts.grant(ends{h.Local, h.Remote}, h.Sent)
	_ = send(c, sandbox.Reply{}, fds)
	closeAll(fds)
}

// hand sends a message to a peer and returns the descriptors that come with the answer.
func (w *wire) hand(p *peer, h handover) ([]int, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode handover: %w", err)
	}
	d := net.Dialer{Timeout: handoverTime}
	conn, err := d.DialContext(w.ctx, "unixpacket", handoverSocket(p.WireSocket))
	if err != nil {
		return nil, fmt.Errorf("reach node %s: %w", p.Name, err)
	}
	defer conn.Close()
	c := conn.(*net.UnixConn)
	_ = c.SetDeadline(time.Now().Add(handoverTime))
	if _, err := c.Write(data); err != nil {
		return nil, fmt.Errorf("ask node %s: %w", p.Name, err)
	}
	buf, oob := make([]byte, sandbox.MaxMessage), make([]byte, syscall.CmsgSpace(4*leaseFiles))
	_, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, fmt.Errorf("hear node %s: %w", p.Name, err)
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		return nil, nil // An answer without descriptors.
	}
	fds, err := syscall.ParseUnixRights(&msgs[0])
	if err != nil {
		return nil, fmt.Errorf("read descriptors of node %s: %w", p.Name, err)
	}
	return fds, nil
}

// askPipe asks a peer for the pipe of the other end of e; none means not now.
func (w *wire) askPipe(p *peer, e ends, sent uint64) []int {
	fds, err := w.hand(p, handover{Local: e.remote, Remote: e.local, Sent: sent})
	if err != nil {
		w.net.log.Debug("no shortcut", "err", err)
	}
	return fds
}
