package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// replyTimeout bounds how long a connection that ended waits for the node's word on why, and a close for its effect.
const replyTimeout = time.Second

func addrOf(kind string, a netip.AddrPort) net.Addr {
	if kind == "udp" {
		return net.UDPAddrFromAddrPort(a)
	}
	return net.TCPAddrFromAddrPort(a)
}

func closeFile(f *os.File) {
	if f != nil {
		f.Close()
	}
}

// recvFile reads one message and the descriptor that came with it, if any.
func recvFile(c *net.UnixConn, buf, oob []byte) (int, *os.File, error) {
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return 0, nil, io.EOF
	}
	if oobn == 0 {
		return n, nil, nil
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, nil, fmt.Errorf("read control message: %w", err)
	}
	if len(msgs) == 0 {
		return n, nil, nil
	}
	fds, err := syscall.ParseUnixRights(&msgs[0])
	if err != nil {
		return 0, nil, fmt.Errorf("read descriptor: %w", err)
	}
	if len(fds) == 0 {
		return n, nil, nil
	}
	// The node made the descriptor non-blocking, so the runtime's poller takes it.
	return n, os.NewFile(uintptr(fds[0]), "sandbox"), nil
}

// conn is a TCP connection of the pod.
type conn struct {
	*os.File
	client        *Client
	id            uint64
	local, remote net.Addr

	mu    sync.Mutex
	ended error // why the connection ended, once known; io.EOF when orderly.
}

var _ net.Conn = (*conn)(nil)

func newConn(c *Client, a answer) *conn {
	return &conn{File: a.file, client: c, id: a.reply.Conn, local: addrOf("tcp", a.reply.Local), remote: addrOf("tcp", a.reply.Remote)}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.File.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		if e := c.why(); !errors.Is(e, io.EOF) {
			return 0, c.opError("read", os.NewSyscallError("read", e))
		}
		return 0, io.EOF
	}
	return 0, c.opError("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.File.Write(b)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, syscall.EPIPE) {
		if e := c.why(); !errors.Is(e, io.EOF) {
			return n, c.opError("write", os.NewSyscallError("write", e))
		}
	}
	return n, c.opError("write", err)
}

// ReadFrom hides os.File's own, which would not translate errors.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(writerOnly{c}, r) }

// WriteTo hides os.File's own, which would not translate errors.
func (c *conn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, readerOnly{c}) }

func (c *conn) Close() error {
	if err := c.File.Close(); err != nil {
		return c.opError("close", err)
	}
	return nil
}

// CloseWrite sends FIN: the peer reads end of file; reading here goes on.
func (c *conn) CloseWrite() error { return c.shutdown(syscall.SHUT_WR) }

// CloseRead stops reading.
func (c *conn) CloseRead() error { return c.shutdown(syscall.SHUT_RD) }

func (c *conn) shutdown(how int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return c.opError("close", err)
	}
	var down error
	if err := raw.Control(func(fd uintptr) { down = syscall.Shutdown(int(fd), how) }); err != nil {
		return c.opError("close", err)
	}
	if down != nil {
		return c.opError("close", os.NewSyscallError("shutdown", down))
	}
	return nil
}

// why asks the node, once, how the connection ended: io.EOF or an errno.
func (c *conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	a, err := c.client.call(ctx, Request{Op: OpStatus, Conn: c.id})
	if err != nil || a.reply.Errno == 0 {
		c.ended = io.EOF
	} else {
		c.ended = a.reply.Errno
	}
	return c.ended
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: bare(err)}
}

// bare takes os.File's wrapping off err and words the rest as package net does.
func bare(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		var errno syscall.Errno
		if errors.As(pe.Err, &errno) {
			return os.NewSyscallError(pe.Op, errno)
		}
		return pe.Err
	}
	return err
}

type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// listener is a TCP listener of the pod: accepted connections arrive on its own socket.
type listener struct {
	client *Client
	id     uint64
	sock   *net.UnixConn
	addr   net.Addr

	mu  sync.Mutex
	buf []byte
	oob []byte
}

func newListener(c *Client, a answer) (*listener, error) {
	defer a.file.Close()
	sock, err := net.FileConn(a.file)
	if err != nil {
		return nil, err
	}
	return &listener{
		client: c, id: a.reply.Conn, sock: sock.(*net.UnixConn), addr: addrOf("tcp", a.reply.Local),
		buf: make([]byte, MaxMessage), oob: make([]byte, syscall.CmsgSpace(4)),
	}, nil
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		n, file, err := recvFile(l.sock, l.buf, l.oob)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = net.ErrClosed
			}
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: err}
		}
		var r Reply
		if json.Unmarshal(l.buf[:n], &r) != nil || file == nil {
			closeFile(file)
			continue
		}
		return newConn(l.client, answer{r, file}), nil
	}
}

// Close frees the address before it returns, as close(2) does.
func (l *listener) Close() error {
	l.client.free(l.id)
	return l.sock.Close()
}

func (l *listener) Addr() net.Addr { return l.addr }

// SetDeadline bounds Accept, as net.TCPListener's does.
func (l *listener) SetDeadline(t time.Time) error { return l.sock.SetReadDeadline(t) }
