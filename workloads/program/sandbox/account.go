package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Block is the unit in which space is charged, in bytes: a file takes whole blocks, as on a file system.
const Block = 4096

// Account is the space of one volume: how many bytes it holds and may hold. It lives in a page of a file that every
// process with the volume among its mounts maps, so that one limit holds for all of them. It stands for what a file
// system of its own would do: the host's files have no limit that an unprivileged process could set.
//
// Its methods may be called concurrently, also from several processes. What a process charged and did not write, because
// it was killed in between, is found by Recount.
type Account struct {
	page []byte
	book *book
}

// book is the layout of the page.
type book struct {
	capacity atomic.Int64 // Bytes.
	used     atomic.Int64 // Bytes, whole blocks.
	changes  atomic.Int64 // Counts charges and releases.
	inodes   atomic.Int64 // As of the last Recount.
	counted  atomic.Int64 // changes as of the last Recount.
}

// OpenAccount maps the account at path, which is made when it does not exist. The caller closes it.
func OpenAccount(path string) (*Account, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open volume account: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("open volume account: %w", err)
	} else if info.Size() < Block {
		if err := f.Truncate(Block); err != nil {
			return nil, fmt.Errorf("make volume account: %w", err)
		}
	}
	page, err := syscall.Mmap(int(f.Fd()), 0, Block, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map volume account %s: %w", path, err)
	}
	return &Account{page: page, book: (*book)(unsafe.Pointer(&page[0]))}, nil
}

// Close gives the mapping back; the account must not be used afterwards.
func (a *Account) Close() error { return syscall.Munmap(a.page) }

// Capacity is what the volume may hold, in bytes.
func (a *Account) Capacity() int64 { return a.book.capacity.Load() }

// SetCapacity changes what the volume may hold. What it holds already stays.
func (a *Account) SetCapacity(bytes int64) { a.book.capacity.Store(bytes) }

// Used is what the volume holds, in bytes.
func (a *Account) Used() int64 { return a.book.used.Load() }

// Inodes is the number of files and directories at the last Recount.
func (a *Account) Inodes() int64 { return a.book.inodes.Load() }

// Free is what can still be written, in bytes.
func (a *Account) Free() int64 { return max(a.Capacity()-a.Used(), 0) }

// grow charges a file's growth from one size to another and returns the size up to which there is space.
func (a *Account) grow(from, to int64) int64 {
	need := blocks(to) - blocks(from)
	if need <= 0 {
		return to
	}
	a.book.changes.Add(1)
	for {
		used := a.book.used.Load()
		take := min(need, max(a.Capacity()-used, 0)/Block*Block)
		if a.book.used.CompareAndSwap(used, used+take) {
			return min(to, blocks(from)+take)
		}
	}
}

// shrink releases what a file that went from one size to a smaller one no longer takes.
func (a *Account) shrink(from, to int64) {
	freed := blocks(from) - blocks(to)
	if freed <= 0 {
		return
	}
	a.book.changes.Add(1)
	for {
		used := a.book.used.Load()
		if a.book.used.CompareAndSwap(used, max(used-freed, 0)) {
			return
		}
	}
}

// Recount sets the account to what the files below dir really take, unless something was charged since the Recount before:
// what is charged may not be written yet. Then a later Recount will tell. It finds what was written past the account, by
// programs that know only the host's files.
func (a *Account) Recount(dir string) error {
	changes, used := a.book.changes.Load(), a.book.used.Load()
	settled := a.book.counted.Swap(changes) == changes
	var bytes, inodes int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		inodes++
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		if info.Mode().IsRegular() {
			bytes += blocks(info.Size())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count volume: %w", err)
	}
	a.book.inodes.Store(inodes)
	if settled && a.book.changes.Load() == changes {
		a.book.used.CompareAndSwap(used, bytes)
	}
	return nil
}

// ignoreGone drops the error of a file that was removed while it was looked at.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func blocks(size int64) int64 { return (size + Block - 1) / Block * Block }
