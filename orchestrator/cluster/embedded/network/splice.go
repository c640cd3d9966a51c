package network

import (
	"bytes"
	"sync"
	"sync/atomic"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// chunk is how much a splice moves at once.
const chunk = 32 << 10

// chunks pools the buffers between the process's pipes and the stack. A buffer is held only while there is something in it.
var chunks = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// splice moves bytes between a TCP endpoint of the stack and the container process.
type splice struct {
	e     endpoint
	p     stream
	told  func(syscall.Errno) // how the connection ended, before the process can notice.
	lost  func()              // told when the process's shortcut has been taken away.
	ended func()              // told when the connection is over; may be nil.

	net       *Network
	link      *link
	ends      ends
	past      shortcut // the process's to its peer.
	lent      shortcut // the peer's to the process.
	sent      progress // into packets.
	delivered progress // out of packets.

	once   sync.Once
	gone   chan struct{} // closed when the connection is over, whatever the directions are doing.
	active atomic.Int32
}

func newSplice(st *podStack, e endpoint, p stream, told func(syscall.Errno), lost func()) *splice {
	s := &splice{e: e, p: p, told: told, lost: lost, net: st.net, link: st.link, gone: make(chan struct{})}
	local, _ := e.GetLocalAddress()
	if remote, err := e.GetRemoteAddress(); err == nil {
		s.ends = ends{addrPort(local), addrPort(remote)}
		st.net.shortcuts.add(s)
	}
	return s
}

// start serves both directions until both have ended.
func (s *splice) start() {
	s.active.Store(2)
	go s.toProcess()
	go s.toNetwork()
}

// abort gives the connection up before it was started.
func (s *splice) abort() {
	s.told(0)
	s.net.shortcuts.remove(s)
	s.e.Abort()
	s.p.close()
}

// leave is called by each direction when it has ended.
func (s *splice) leave() {
	if s.active.Add(-1) == 0 {
		s.over(0)
	}
}

// over ends the connection. A connection that broke is reset for both sides.
func (s *splice) over(errno syscall.Errno) {
	s.once.Do(func() {
		if s.ended != nil {
			defer s.ended()
		}
		s.told(errno)
		close(s.gone)
		s.net.shortcuts.remove(s)
		if s.detach() && errno != 0 {
			s.lost() // otherwise the process has closed it.
		}
		if errno != 0 {
			s.e.Abort()
		} else {
			s.e.Close()
		}
		s.p.close()
	})
}

// isOver says whether the connection has ended.
func (s *splice) isOver() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// fdWriter writes to a non-blocking descriptor from inside the endpoint's Read.
type fdWriter struct {
	fd   int
	n    int
	full bool
	err  error
}

func (w *fdWriter) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := syscall.Write(w.fd, b[done:])
		switch err {
		case nil:
			done += n
			w.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			w.full = true
			return done, err
		default:
			w.err = err
			return done, err
		}
	}
	return done, nil
}

// toProcess copies what the peer sends to the process.
func (s *splice) toProcess() {
	defer s.leave()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	s.e.wq.EventRegister(&entry)
	defer s.e.wq.EventUnregister(&entry)
	raw, err := s.p.out.SyscallConn()
	if err != nil {
		return
	}
	var (
		w    fdWriter
		terr tcpip.Error
	)
	read := func(fd uintptr) bool {
		w.fd, w.full = int(fd), false
		_, terr = s.e.Read(&w, tcpip.ReadOptions{})
		return !w.full || w.err != nil
	}
	for {
		w.n = 0
		if raw.Write(read) != nil {
			return
		}
		if w.n > 0 {
			s.delivered.add(w.n)
			s.e.ModerateRecvBuf(w.n)
		}
		if w.err != nil {
			return // the process has closed its end: toNetwork sees it too and closes the connection.
		}
		switch terr.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-s.gone:
				return
			}
		case *tcpip.ErrClosedForReceive:
			s.p.out.Close()
			return
		case *tcpip.ErrNotConnected, *tcpip.ErrInvalidEndpointState:
			s.over(syscall.ECONNRESET)
			return
		default:
			s.over(errnoOf(terr))
			return
		}
	}
}

// toNetwork copies what the process writes to the peer.
func (s *splice) toNetwork() {
	defer s.leave()
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	s.e.wq.EventRegister(&entry)
	defer s.e.wq.EventUnregister(&entry)
	raw, err := s.p.in.SyscallConn()
	if err != nil {
		return
	}
	var (
		buf  *[]byte
		n    int
		rerr error
	)
	read := func(fd uintptr) bool {
		buf = chunks.Get().(*[]byte)
		for {
			n, rerr = syscall.Read(int(fd), *buf)
			if rerr == syscall.EINTR {
				continue
			}
			if rerr == syscall.EAGAIN {
				chunks.Put(buf)
				return false
			}
			return true
		}
	}
	for {
		if raw.Read(read) != nil {
			return
		}
		ok := rerr == nil && n > 0 && s.write((*buf)[:n], ready)
		chunks.Put(buf)
		switch {
		case ok:
		case rerr != nil:
			s.over(asErrno(rerr))
			return
		case n > 0:
			return // write has ended the connection.
		case s.p.left():
			s.closed()
			return
		default:
			s.past.detach()
			s.count()
			s.e.Shutdown(tcpip.ShutdownWrite)
			if s.p.waitLeft(); s.p.left() {
				s.closed()
			}
			return
		}
	}
}

// closed is reached when the process has closed the connection. Linux resets one that is closed with data unread.
func (s *splice) closed() {
	if s.p.unread() {
		s.over(syscall.ECONNRESET)
		return
	}
	s.over(0)
}

// write sends b in packets, waiting for room; false means that the connection is over.
func (s *splice) write(b []byte, ready <-chan struct{}) bool {
	var r bytes.Reader
	for len(b) > 0 {
		r.Reset(b)
		n, terr := s.e.Write(&r, tcpip.WriteOptions{})
		b = b[n:]
		s.sent.add(int(n))
		switch terr.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-s.gone:
				return false
			}
		case *tcpip.ErrClosedForSend:
			if last := s.e.LastError(); last != nil {
				terr = last
			}
			s.over(errnoOf(terr))
			return false
		default:
			s.over(errnoOf(terr))
			return false
		}
	}
	return true
}
