package sandbox

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Interposer stands between a container and its files, as a file system in user space does. Operations have FUSE's
// names: lookup, getattr, setattr, readlink, mkdir, unlink, rmdir, symlink, rename, open, read, write, flush, release, fsync,
// opendir, readdir, releasedir, statfs. name is the container path, with symbolic links followed. Methods are called
// concurrently.
type Interposer interface {
	// Before is asked before every operation. It may take its time, which the operation then takes too, and an error fails
	// the operation with it.
	Before(op, name string) error
	// Data returns what is read in the place of p, which it may change, or written in the place of p, which it may not.
	Data(op, name string, p []byte) []byte
	// Attributes returns what getattr says in the place of info.
	Attributes(name string, info fs.FileInfo) fs.FileInfo
}

// File is an open file of a container. It is an *os.File whose errors name container paths and whose writes stay within the
// volume that holds it: a write that does not fit stores what does and fails with ENOSPC.
type File struct {
	*os.File
	name    string
	path    string     // The container path without symbolic links.
	account *Account   // nil without a limit.
	ask     Interposer // nil without one.
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
func (f *File) before(op, method string) error {
	if f.ask == nil {
		return nil
	}
	if err := f.ask.Before(method, f.path); err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

// data is what the interposer makes of p.
func (f *File) data(method string, p []byte) []byte {
	if f.ask == nil {
		return p
	}
	return f.ask.Data(method, f.path, p)
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
	if err := f.before("read", opRead); err != nil {
		return 0, err
	}
	n, err := f.File.Read(p)
	f.data(opRead, p[:max(n, 0)])
	return n, f.named("read", err)
}

// ReadAt is that of os.File.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before("read", opRead); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(p, off)
	f.data(opRead, p[:max(n, 0)])
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
	if err := f.before("write", opWrite); err != nil {
		return 0, err
	}
	p = f.data(opWrite, p)
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
	if err := f.before("write", opWrite); err != nil {
		return 0, err
	}
	p = f.data(opWrite, p)
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
	info, err := f.File.Stat()
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
	if err := f.before("truncate", opSetattr); err != nil {
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
	if err := f.before("sync", opFsync); err != nil {
		return err
	}
	return f.named("sync", f.File.Sync())
}

// Stat is that of os.File.
func (f *File) Stat() (fs.FileInfo, error) {
	if err := f.before("stat", opGetattr); err != nil {
		return nil, err
	}
	info, err := f.File.Stat()
	if err == nil && f.ask != nil {
		info = f.ask.Attributes(f.path, info)
	}
	return info, f.named("stat", err)
}

// Close is that of os.File. It closes the file also where it fails.
func (f *File) Close() error {
	failed := f.before("close", opFlush)
	if failed == nil {
		failed = f.before("close", opRelease)
	}
	if err := f.File.Close(); err != nil {
		return f.named("close", err)
	}
	return failed
}
