package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// maxEnded bounds how many broken connections a session remembers the reason of.
const maxEnded = 256

// session is the node's side of the sandbox protocol with one container process.
type session struct {
	pod    *Pod
	st     *podStack
	ctl    *net.UnixConn
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	nextConn uint64
	dials    map[uint64]context.CancelFunc
	conns    map[uint64]*splice       // open connections, by ID.
	sockets  map[uint64]socket        // the process's listeners and UDP sockets, by ID; nil once the session has ended.
	ended    map[uint64]syscall.Errno // connections that broke, by ID.
	endedIDs []uint64                 // the same, oldest first.
}

func newSession(p *Pod, ctl *net.UnixConn) *session {
	s := &session{
		pod: p, st: p.st, ctl: ctl, dials: map[uint64]context.CancelFunc{}, conns: map[uint64]*splice{}, sockets: map[uint64]socket{}, ended: map[uint64]syscall.Errno{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// stop ends the session from the node's side.
func (s *session) stop() {
	s.cancel()
	s.ctl.Close()
}

// run answers requests until the control socket ends.
func (s *session) run() {
	defer s.finish()
	buf := make([]byte, sandbox.MaxMessage)
	for {
		n, err := s.ctl.Read(buf)
		if err != nil || n == 0 {
			return
		}
		var r sandbox.Request
		if err := json.Unmarshal(buf[:n], &r); err != nil {
			s.pod.net.log.Warn("sandbox sent garbage", "pod", s.pod.id, "err", err)
			continue
		}
		s.handle(r)
	}
}

func (s *session) finish() {
	s.cancel()
	s.mu.Lock()
	open := s.sockets
	s.sockets = nil
	s.mu.Unlock()
	for _, o := range open {
		if o.atEnd {
			o.shut()
		}
	}
}

func (s *session) handle(r sandbox.Request) {
	switch r.Op {
	case sandbox.OpDial:
		if r.Network == "udp" {
			s.answer(r.ID, s.dialUDP(r.Address))
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		s.mu.Lock()
		s.dials[r.ID] = cancel
		s.mu.Unlock()
		go func() {
			defer cancel()
			s.answer(r.ID, s.dialTCP(ctx, r.Address))
			s.mu.Lock()
			delete(s.dials, r.ID)
			s.mu.Unlock()
		}()
	case sandbox.OpCancel:
		s.mu.Lock()
		if cancel := s.dials[r.Conn]; cancel != nil {
			cancel()
		}
		s.mu.Unlock()
	case sandbox.OpListen:
		s.answer(r.ID, s.listen(r.Address))
	case sandbox.OpPacket:
		s.answer(r.ID, s.packet(r.Address))
	case sandbox.OpClose:
		s.mu.Lock()
		o, ok := s.sockets[r.Conn]
		s.mu.Unlock()
		if ok {
			o.shut()
		}
		s.answer(r.ID, opened{})
	case sandbox.OpPast:
		go func() { s.answer(r.ID, s.past(r.Conn, r.Sent)) }()
	case sandbox.OpStatus:
		s.mu.Lock()
		errno := s.ended[r.Conn]
		s.mu.Unlock()
		s.answer(r.ID, opened{reply: sandbox.Reply{Errno: errno}})
	default:
		s.answer(r.ID, refused(syscall.EOPNOTSUPP))
	}
}

// opened is the outcome of a request: a reply, the process's descriptors and what starts serving the node's end.
type opened struct {
	reply sandbox.Reply
	fds   []int
	start func()
	abort func()
	// splice is set for a TCP connection.
	splice *splice
}

func refused(errno syscall.Errno) opened { return opened{reply: sandbox.Reply{Errno: errno}} }

// answer sends the outcome; the process's descriptors are closed here in any case.
func (s *session) answer(id uint64, o opened) {
	o.reply.ID = id
	err := send(s.ctl, o.reply, o.fds)
	closeAll(o.fds)
	switch {
	case err != nil && o.abort != nil:
		o.abort()
	case err == nil && o.start != nil:
		o.start()
	}
}

func send(c *net.UnixConn, r sandbox.Reply, fds []int) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode sandbox reply: %w", err)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	if _, _, err := c.WriteMsgUnix(data, rights, nil); err != nil {
		return fmt.Errorf("send sandbox reply: %w", err)
	}
	return nil
}

// pair makes a non-blocking socket pair: the node's end as a file, the process's as a descriptor.
func pair(kind int) (*os.File, int, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "sandbox"), fds[1], nil
}

func (s *session) dialTCP(ctx context.Context, to netip.AddrPort) opened {
	e, err := s.st.connectTCP(ctx, to)
	if err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.ECANCELED
		}
		return refused(errno)
	}
	return s.connection(e, orLoopback(to))
}

// connection offers an established connection to the process.
func (s *session) connection(e endpoint, remote netip.AddrPort) opened {
	p, fds, err := newStream()
	if err != nil {
		e.Abort()
		return refused(asErrno(err))
	}
	local, _ := e.GetLocalAddress()
	id := s.newConn()
	sp := newSplice(s.st, e, p, func(errno syscall.Errno) { s.gone(id, errno) }, func() {
		// The process may be stopped, and then does not read.
		go func() { _ = send(s.ctl, sandbox.Reply{Conn: id}, nil) }()
	})
	s.mu.Lock()
	s.conns[id] = sp
	s.mu.Unlock()
	return opened{
		reply: sandbox.Reply{Conn: id, Local: addrPort(local), Remote: remote}, fds: fds, start: sp.start, abort: sp.abort, splice: sp,
	}
}

func (s *session) newConn() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextConn++
	return s.nextConn
}

// socket is a listener or UDP socket of the process.
type socket struct {
	shut  func()
	atEnd bool // close it with the session, rather than when its own descriptor is closed and what was written is sent.
}

// own remembers a socket; false means that the session has ended.
func (s *session) own(id uint64, o socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sockets == nil {
		return false
	}
	s.sockets[id] = o
	return true
}

// disown forgets a socket that has been closed.
func (s *session) disown(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, id)
}

// past gets the process's connection a way past the node.
func (s *session) past(id, sent uint64) opened {
	s.mu.Lock()
	sp := s.conns[id]
	s.mu.Unlock()
	if sp == nil {
		return refused(syscall.ENOTCONN)
	}
	fds := sp.take(sent)
	if len(fds) == 0 {
		return refused(syscall.EAGAIN)
	}
	return opened{fds: fds}
}

// gone forgets a connection, and keeps why it broke until the process asks.
func (s *session) gone(id uint64, errno syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, id)
	if errno == 0 {
		return
	}
	if len(s.endedIDs) == maxEnded {
		delete(s.ended, s.endedIDs[0])
		s.endedIDs = s.endedIDs[1:]
	}
	s.ended[id] = errno
	s.endedIDs = append(s.endedIDs, id)
}
