package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lease is a process's right to write into the pipe that its connection's peer reads, past both nodes. It lives in a page of memory that the process
// shares with the nodes of both ends: each of them can take the right back at any moment, whatever the process is doing, and knows
// then that nothing more will be written. It ends by itself when the node of either end does not renew it: what a node that hangs should
// carry is not carried. Its methods may be called concurrently, also from several processes.
type Lease struct {
	page []byte
	book *leaseBook
	side int // Whose term Renew prolongs.
}

// The sides of a lease.
const (
	giver = iota // The node of the receiver, who has made it.
	taker        // The node of the sender.
	sides
)

// leaseBook is the layout of the page.
type leaseBook struct {
	state  atomic.Uint32       // writing, revoked, or both.
	ends   [sides]atomic.Int64 // Unix times in nanoseconds.
	bytes  atomic.Uint64
	writes atomic.Uint64
}

const (
	leaseWriting uint32 = 1 << iota
	leaseRevoked
)

// LeaseTerm is how long a lease is good without being renewed.
const LeaseTerm = 2 * time.Second

// revokeWait bounds how long Revoke waits for a write under way. The descriptor does not block, so only a process that was stopped or
// killed in the middle takes so long. One that was stopped just before the write makes that one when it goes on.
const revokeWait = 100 * time.Millisecond

// NewLease makes a lease and the descriptor with which others open it. The caller closes the descriptor.
func NewLease() (*Lease, int, error) {
	fd, err := unix.MemfdCreate("lease", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, -1, fmt.Errorf("make lease: %w", os.NewSyscallError("memfd_create", err))
	}
	if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("make lease: %w", os.NewSyscallError("ftruncate", err))
	}
	l, err := OpenLease(fd)
	if err != nil {
		unix.Close(fd)
		return nil, -1, err
	}
	l.Renew() // The taker has a first term to begin with.
	l.side = giver
	l.Renew()
	return l, fd, nil
}

// OpenLease maps the lease behind fd, which stays the caller's.
func OpenLease(fd int) (*Lease, error) {
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("open lease: %w", os.NewSyscallError("mmap", err))
	}
	l := &Lease{page: page, book: (*leaseBook)(unsafe.Pointer(&page[0])), side: taker}
	// Somebody may be looking at it until the very last: only the collector knows when nobody is.
	runtime.AddCleanup(l, func(page []byte) { _ = unix.Munmap(page) }, page)
	return l, nil
}

// Renew makes the lease good for another LeaseTerm, as far as this side goes, unless it has been revoked.
func (l *Lease) Renew() {
	l.book.ends[l.side].Store(time.Now().Add(LeaseTerm).UnixNano())
	runtime.KeepAlive(l)
}

// begin starts a write; false means that the lease is over.
func (l *Lease) begin() bool {
	now := time.Now().UnixNano()
	return now < l.book.ends[giver].Load() && now < l.book.ends[taker].Load() && l.book.state.CompareAndSwap(0, leaseWriting)
}

// end ends a write of n bytes.
func (l *Lease) end(n int) {
	if n > 0 {
		l.book.bytes.Add(uint64(n))
		l.book.writes.Add(1)
	}
	l.book.state.And(^leaseWriting)
	runtime.KeepAlive(l)
}

// Revoke takes the lease back. When it returns, nothing is written under it any more. Revoking twice is no error.
func (l *Lease) Revoke() {
	l.book.state.Or(leaseRevoked)
	for end := time.Now().Add(revokeWait); l.book.state.Load()&leaseWriting != 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Microsecond) // The other side is another process: there is nothing to wait on.
	}
	runtime.KeepAlive(l)
}

// Revoked says whether the lease has been taken back.
func (l *Lease) Revoked() bool {
	defer runtime.KeepAlive(l)
	return l.book.state.Load()&leaseRevoked != 0
}

// Written is how much has been written under the lease.
func (l *Lease) Written() (bytes, writes uint64) {
	defer runtime.KeepAlive(l)
	return l.book.bytes.Load(), l.book.writes.Load()
}
