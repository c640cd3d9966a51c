package network

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stream is the node's end of a container process's TCP connection: a pipe for each direction. A socket pair would need one
// descriptor less, but wakes its writer whenever the reader has read, which costs a third of a small request.
type stream struct {
	in  *os.File // what the process writes.
	out *os.File // what the process reads.
}

// newStream makes a stream and the process's ends of it: to read from and to write to. All are non-blocking.
func newStream() (stream, []int, error) {
	var out, in [2]int
	if err := syscall.Pipe2(out[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return stream{}, nil, os.NewSyscallError("pipe2", err)
	}
	if err := syscall.Pipe2(in[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		closeAll(out[:])
		return stream{}, nil, os.NewSyscallError("pipe2", err)
	}
	s := stream{in: os.NewFile(uintptr(in[0]), "from process"), out: os.NewFile(uintptr(out[1]), "to process")}
	return s, []int{out[0], in[1]}, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

func (s stream) close() {
	s.in.Close()
	s.out.Close()
}

// unread says whether there is something that the process has not read.
func (s stream) unread() bool {
	n := 0
	if raw, err := s.out.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	return n > 0
}

// hungUp says whether the process has closed its reading end: fd is the writing end.
func hungUp(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&unix.POLLERR != 0
}

// left says whether the process has closed its reading end.
func (s stream) left() bool {
	gone := true
	if raw, err := s.out.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { gone = hungUp(fd) })
	}
	return gone
}

// waitLeft waits until the process has closed its reading end, or the stream's writing end is closed.
func (s stream) waitLeft() {
	if raw, err := s.out.SyscallConn(); err == nil {
		_ = raw.Read(hungUp) // the poller counts an error as readable; a wait to write would keep writers out.
	}
}

// streamConn is a stream as a connection, for a server in the node process.
type streamConn struct {
	stream
	local, remote net.Addr
}

var _ net.Conn = (*streamConn)(nil)

func (c *streamConn) Read(b []byte) (int, error)         { return c.in.Read(b) }
func (c *streamConn) Write(b []byte) (int, error)        { return c.out.Write(b) }
func (c *streamConn) CloseWrite() error                  { return c.out.Close() }
func (c *streamConn) LocalAddr() net.Addr                { return c.local }
func (c *streamConn) RemoteAddr() net.Addr               { return c.remote }
func (c *streamConn) SetReadDeadline(t time.Time) error  { return c.in.SetReadDeadline(t) }
func (c *streamConn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }

func (c *streamConn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.SetReadDeadline(t), c.out.SetWriteDeadline(t))
}

// Close closes both directions.
func (c *streamConn) Close() error {
	c.close()
	return nil
}
