package sandbox

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// firstAsk is how many writes pass the node before a connection asks for its way past it: short connections never do.
	firstAsk = 4
	// maxAsk bounds how many writes pass between two attempts.
	maxAsk = 256
	// askTime bounds how long a write waits for an attempt.
	askTime = 100 * time.Millisecond
)

// direct is a way past the nodes: the pipe that the connection's peer reads, and the lease to write there.
type direct struct {
	pipe  *os.File
	raw   syscall.RawConn
	lease *Lease
}

func openDirect(files []*os.File) (*direct, error) {
	pipe, book := files[0], files[1]
	defer book.Close()
	raw, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &direct{pipe: pipe, raw: raw}
	outer, err := book.SyscallConn()
	if err != nil {
		return nil, err
	}
	if ctl := outer.Control(func(fd uintptr) { d.lease, err = OpenLease(int(fd)) }); ctl != nil {
		return nil, ctl
	}
	return d, err
}

// write writes as much as it can and returns how much. What is left goes to the node, unless the error is that of the deadline.
func (d *direct) write(b []byte) (int, error) {
	done := 0
	err := d.raw.Write(func(fd uintptr) bool {
		for done < len(b) {
			if !d.lease.begin() {
				return true
			}
			n, err := syscall.Write(int(fd), b[done:])
			d.lease.end(n)
			switch {
			case err == nil:
				done += n
			case errors.Is(err, syscall.EAGAIN):
				return false
			case !errors.Is(err, syscall.EINTR):
				return true // The process at the other end has closed: the stacks know what that means.
			}
		}
		return true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return done, err
	}
	return done, nil
}

// writer is the writing half of a connection: the pipe to the node and, most of the time, the way past it. Writes are made one at a
// time, so that the order of the bytes holds across both.
type writer struct {
	node *os.File

	writing     sync.Mutex
	sent        uint64 // to the node.
	count, next int    // of writes to the node since the last attempt, and how many the next one waits for.

	mu       sync.Mutex // guards what follows.
	past     *direct    // nil while there is none.
	deadline time.Time
	closed   bool
}

// write writes b. ask, which may be called now and then, returns the descriptors of a way past the node.
func (w *writer) write(b []byte, ask func(ctx context.Context, sent uint64) (*direct, error)) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	done := 0
	if d := w.way(); d != nil {
		var err error
		if done, err = d.write(b); err != nil || done == len(b) {
			return done, err
		}
		w.leave(d)
	}
	n, err := w.node.Write(b[done:])
	w.sent += uint64(n)
	if err == nil && w.due() {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		if d, err := ask(ctx, w.sent); err == nil {
			w.take(d)
		}
	}
	return done + n, err
}

// due counts a write to the node and says whether it is time to ask for a way past it.
func (w *writer) due() bool {
	if w.next == 0 {
		w.next = firstAsk
	}
	if w.count++; w.count < w.next {
		return false
	}
	w.count, w.next = 0, min(2*w.next, maxAsk)
	return true
}

func (w *writer) way() *direct {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.past
}

func (w *writer) take(d *direct) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// What was taken back meanwhile has been told already, to nobody.
	if w.closed || d.lease.Revoked() {
		d.pipe.Close()
		return
	}
	_ = d.pipe.SetWriteDeadline(w.deadline)
	w.past = d
}

// leave gives up d, which may have been given up before. The peer's process can see its end of file then.
func (w *writer) leave(d *direct) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d.pipe.Close()
	if w.past == d {
		w.past = nil
	}
}

// leaveRevoked gives up a way that the node has taken back.
func (w *writer) leaveRevoked() {
	if d := w.way(); d != nil && d.lease.Revoked() {
		w.leave(d)
	}
}

func (w *writer) setDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	if w.past != nil {
		_ = w.past.pipe.SetWriteDeadline(t)
	}
	return w.node.SetWriteDeadline(t)
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.past != nil {
		w.past.pipe.Close()
		w.past = nil
	}
	return w.node.Close()
}
