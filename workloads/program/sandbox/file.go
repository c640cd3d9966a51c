package sandbox

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Interposer is asked before every operation on a container's files: op is the system call's word for it (open, read, write, sync,
// truncate, stat, mkdir, rename, ...), name the container path. It may take its time, which the operation then takes too, and
// an error fails the operation with it. It is called concurrently.
type Interposer func(op, name string) error

// File is an open file of a container. It is an *os.File whose errors name container paths and whose writes stay within the
// volume that holds it: a write that does not fit stores what does and fails with ENOSPC.
type File struct {
	*os.File
	name    string
	account *Account // nil without a limit.
	ask     Interposer
	// writes makes finding the end of the file and writing there one step, for this descriptor.
	writes  sync.Mutex
	appends bool
}

// Plain returns f as a File with nothing between it and the operating system.
func Plain(f *os.File, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	return &File{File: f, name: f.Name()}, nil
}

// Name is the container path that the file was opened with.
func (f *File) Name() string { return f.name }

// before asks the interposer.
func (f *File) before(op string) error {
	if f.ask == nil {
		return nil
	}
	if err := f.ask(op, f.name); err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

// named gives err the container's path.
func (f *File) named(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.EOF is returned as it is.
		return err
	}
	return &fs.PathError{Op: op, Path: f.name, Err: cause(err)}
}

// Read is that of os.File.
func (f *File) Read(p []byte) (int, error) {
	if err := f.before("read"); err != nil {
		return 0, err
	}
	n, err := f.File.Read(p)
	return n, f.named("read", err)
}

// ReadAt is that of os.File.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before("read"); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(p, off)
	return n, f.named("read", err)
}

// WriteTo copies the rest of the file to w.
func (f *File) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, onlyReader{f}) }

// ReadFrom writes everything that r has.
func (f *File) ReadFrom(r io.Reader) (int64, error) { return io.Copy(onlyWriter{f}, r) }

// onlyReader and onlyWriter hide the methods with which io.Copy would go around Read and Write.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// Write is that of os.File, within the volume's space.
func (f *File) Write(p []byte) (int, error) {
	if err := f.before("write"); err != nil {
		return 0, err
	}
	if f.account == nil {
		n, err := f.File.Write(p)
		return n, f.named("write", err)
	}
	f.writes.Lock()
	defer f.writes.Unlock()
	size, err := f.size()
	if err != nil {
		return 0, f.named("write", err)
	}
	off := size
	if !f.appends {
		if off, err = f.Seek(0, io.SeekCurrent); err != nil {
			return 0, f.named("write", err)
		}
	}
	fits := f.fits(size, off, len(p))
	n, err := f.File.Write(p[:fits])
	return n, f.outcome(size, off, n, fits, len(p), err)
}

// WriteString is Write of a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt is that of os.File, within the volume's space.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.before("write"); err != nil {
		return 0, err
	}
	if f.account == nil {
		n, err := f.File.WriteAt(p, off)
		return n, f.named("write", err)
	}
	f.writes.Lock()
	defer f.writes.Unlock()
	size, err := f.size()
	if err != nil {
		return 0, f.named("write", err)
	}
	fits := f.fits(size, off, len(p))
	n, err := f.File.WriteAt(p[:fits], off)
	return n, f.outcome(size, off, n, fits, len(p), err)
}

func (f *File) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// fits charges a write of n bytes at off to a file of the given size and returns how many of them there is space for.
func (f *File) fits(size, off int64, n int) int {
	end := f.account.grow(size, off+int64(n))
	if end <= off { // What was charged would all lie in the hole before off.
		f.account.shrink(max(end, size), size)
		return 0
	}
	return int(min(end-off, int64(n)))
}

// outcome releases what was charged and not written, and makes the error of a write that did not fit.
func (f *File) outcome(size, off int64, written, fits, wanted int, err error) error {
	if written < fits {
		f.account.shrink(max(off+int64(fits), size), max(off+int64(written), size))
	}
	if err == nil && fits < wanted {
		err = syscall.ENOSPC
	}
	return f.named("write", err)
}

// Truncate is that of os.File; a file that grows takes the space at once.
func (f *File) Truncate(to int64) error {
	if err := f.before("truncate"); err != nil {
		return err
	}
	if f.account == nil {
		return f.named("truncate", f.File.Truncate(to))
	}
	f.writes.Lock()
	defer f.writes.Unlock()
	size, err := f.size()
	if err != nil {
		return f.named("truncate", err)
	}
	if got := f.account.grow(size, to); got < to {
		f.account.shrink(got, size)
		return f.named("truncate", syscall.ENOSPC)
	}
	if err := f.File.Truncate(to); err != nil {
		f.account.shrink(to, size)
		return f.named("truncate", err)
	}
	f.account.shrink(size, to)
	return nil
}

// Sync is that of os.File.
func (f *File) Sync() error {
	if err := f.before("sync"); err != nil {
		return err
	}
	return f.named("sync", f.File.Sync())
}
