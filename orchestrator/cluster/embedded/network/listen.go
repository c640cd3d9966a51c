package network

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

const (
	// backlog is how many connections wait for a process that does not accept: Linux's net.core.somaxconn.
	backlog = 4096
	// listenBuffer is the size of a listener's socket buffer in bytes: a few announcements, so that the backlog is the stack's.
	listenBuffer = 4608
)

// listener is a container process's TCP listener.
type listener struct {
	id   uint64
	s    *session
	st   *podStack
	e    endpoint
	port uint16
	sock *net.UnixConn
	done chan struct{}
	once sync.Once

	sending sync.Mutex // announcements are written one at a time.

	mu    sync.Mutex
	conns map[*splice]struct{} // open connections that came in directly.
}

// listen opens a listener for the process.
func (s *session) listen(at netip.AddrPort) opened {
	e, errno := s.st.listenTCP(at)
	if errno != 0 {
		return refused(errno)
	}
	file, fd, err := pair(syscall.SOCK_SEQPACKET)
	if err != nil {
		e.Close()
		return refused(asErrno(err))
	}
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		e.Close()
		syscall.Close(fd)
		return refused(syscall.EIO)
	}
	local, _ := e.GetLocalAddress()
	l := &listener{id: s.newConn(), s: s, st: s.st, e: e, port: local.Port, sock: conn.(*net.UnixConn), done: make(chan struct{}), conns: map[*splice]struct{}{}}
	_ = l.sock.SetWriteBuffer(listenBuffer)
	if !s.own(l.id, socket{l.close, true}) {
		l.e.Close()
		l.sock.Close()
		syscall.Close(fd)
		return refused(syscall.ECANCELED)
	}
	s.st.mu.Lock()
	s.st.listeners[l.port] = append(s.st.listeners[l.port], l)
	s.st.mu.Unlock()
	return opened{reply: sandbox.Reply{Conn: l.id, Local: addrPort(local)}, fds: []int{fd}, start: l.start, abort: l.close}
}

func (l *listener) start() {
	go l.accept()
	go func() {
		// The process never writes here: the end of the read is the end of its descriptor.
		_, _ = l.sock.Read(make([]byte, 1))
		l.close()
	}()
}

// close ends the listener; connections that it accepted live on.
func (l *listener) close() {
	l.once.Do(func() {
		close(l.done)
		l.e.Close()
		l.sock.Close()
		l.s.disown(l.id)
		l.st.mu.Lock()
		defer l.st.mu.Unlock()
		rest := l.st.listeners[l.port][:0:0]
		for _, o := range l.st.listeners[l.port] {
			if o != l {
				rest = append(rest, o)
			}
		}
		l.st.listeners[l.port] = rest
		if len(rest) == 0 {
			delete(l.st.listeners, l.port)
		}
	})
}

// accept offers connections to the process, or to the port's proxy, until the listener is closed.
func (l *listener) accept() {
	defer l.close()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	l.e.wq.EventRegister(&entry)
	defer l.e.wq.EventUnregister(&entry)
	for {
		var peer tcpip.FullAddress
		ep, wq, terr := l.e.Accept(&peer)
		switch terr.(type) {
		case nil:
			c := endpoint{ep, wq}
			c.keepAlive()
			// What the pod says to itself does not pass a proxy, as with iptables' PREROUTING.
			if proxy := l.st.proxy(l.port); proxy != nil && !l.st.own(addrPort(peer).Addr()) {
				go l.proxied(c, addrPort(peer), proxy)
			} else if !l.offer(c, addrPort(peer)) {
				return
			}
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-l.done:
				return
			}
		default:
			return
		}
	}
}

// offer gives a connection to the process; false means that the process is gone.
func (l *listener) offer(e endpoint, peer netip.AddrPort) bool {
	o := l.s.connection(e, peer)
	if o.splice == nil {
		l.s.pod.net.log.Warn("connection lost", "pod", l.s.pod.id, "port", l.port, "err", o.reply.Errno)
		return true
	}
	l.track(o.splice)
	if err := l.announce(o); err != nil {
		o.abort()
		return false
	}
	o.start()
	return true
}

// track remembers a connection until it is over, so that a proxy can end it.
func (l *listener) track(s *splice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[s] = struct{}{}
	s.ended = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, s)
	}
}

// reset breaks the connections that came in.
func (l *listener) reset() {
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, s := range open {
		s.over(syscall.ECONNRESET)
	}
}

// announce tells the process of a connection and hands it over.
func (l *listener) announce(o opened) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	defer closeAll(o.fds)
	return send(l.sock, o.reply, o.fds)
}
