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

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// maxFiles bounds how many descriptors come with one message.
const maxFiles = streamFiles

// streamFiles is how many descriptors a TCP connection has, and pastFiles a way past the node; everything else has one.
const (
	streamFiles = 2
	pastFiles   = 2
)

// recvFiles reads one message and the descriptors that came with it.
func recvFiles(c *net.UnixConn, buf, oob []byte) (int, []*os.File, error) {
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
		return 0, nil, fmt.Errorf("read descriptors: %w", err)
	}
	var files []*os.File
	for _, fd := range fds {
		// The node made the descriptor non-blocking, so the runtime's poller takes it.
		files = append(files, os.NewFile(uintptr(fd), "sandbox"))
	}
	return n, files, nil
}

// conn is a TCP connection of the pod.
type conn struct {
	in            *os.File // the pipe that the node, or the peer past it, writes to.
	out           writer
	client        *Client
	id            uint64
	local, remote net.Addr

	forgotten bool // the client's.

	mu    sync.Mutex
	ended error // why the connection ended, once known; io.EOF when orderly.
}

var _ net.Conn = (*conn)(nil)

func newConn(c *Client, a answer) *conn {
	return &conn{
		in: a.files[0], out: writer{node: a.files[1]}, client: c, id: a.reply.Conn, local: addrOf("tcp", a.reply.Local), remote: addrOf("tcp", a.reply.Remote),
	}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
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
	n, err := c.out.write(b, c.askPast)
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

// Close closes both directions. What was written is still sent; what was not read resets the connection, as close(2) does.
func (c *conn) Close() error {
	// The reading side goes first: the node tells a close from a CloseWrite by it.
	in, out := c.in.Close(), c.out.close()
	c.client.forget(c)
	if in != nil && out != nil {
		return c.opError("close", in)
	}
	return nil // also when one direction was closed before.
}

// CloseWrite sends FIN: the peer reads end of file; reading here goes on.
func (c *conn) CloseWrite() error {
	if err := c.out.close(); err != nil {
		return c.opError("close", err)
	}
	return nil
}

// CloseRead stops reading.
func (c *conn) CloseRead() error {
	if err := c.in.Close(); err != nil {
		return c.opError("close", err)
	}
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.in.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(t) }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.SetReadDeadline(t), c.out.setDeadline(t))
}

// askPast asks the node for a way past it, when so many bytes have been written to the node.
func (c *conn) askPast(ctx context.Context, sent uint64) (*direct, error) {
	// Known before it is asked for: it may be taken back before the answer has been read.
	c.client.remember(c)
	a, err := c.client.call(ctx, Request{Op: OpPast, Conn: c.id, Sent: sent})
	if err != nil {
		return nil, err
	}
	if a.reply.Errno != 0 || len(a.files) != pastFiles {
		closeFiles(a.files)
		return nil, a.reply.Errno
	}
	d, err := openDirect(a.files)
	if err != nil {
		a.files[0].Close()
	}
	return d, err
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
	defer closeFiles(a.files)
	sock, err := net.FileConn(a.files[0])
	if err != nil {
		return nil, err
	}
	return &listener{
		client: c, id: a.reply.Conn, sock: sock.(*net.UnixConn), addr: addrOf("tcp", a.reply.Local),
		buf: make([]byte, MaxMessage), oob: make([]byte, syscall.CmsgSpace(4*maxFiles)),
	}, nil
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		n, files, err := recvFiles(l.sock, l.buf, l.oob)
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
		if json.Unmarshal(l.buf[:n], &r) != nil || len(files) != streamFiles {
			closeFiles(files)
			continue
		}
		return newConn(l.client, answer{r, files}), nil
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
