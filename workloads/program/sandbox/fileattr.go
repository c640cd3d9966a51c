package sandbox

import (
	"io/fs"
	"sync/atomic"
	"syscall"
	"time"
)

// FileAttributes are attributes that getattr gives in place of the true ones; what is nil stays.
type FileAttributes struct {
	Ino    *uint64           `json:"ino,omitempty"`
	Size   *uint64           `json:"size,omitempty"`
	Blocks *uint64           `json:"blocks,omitempty"`
	Atime  *syscall.Timespec `json:"atime,omitempty"`
	Mtime  *syscall.Timespec `json:"mtime,omitempty"`
	Ctime  *syscall.Timespec `json:"ctime,omitempty"`
	// Kind is the type bits of a mode.
	Kind  *fs.FileMode `json:"kind,omitempty"`
	Perm  *uint16      `json:"perm,omitempty"`
	Nlink *uint32      `json:"nlink,omitempty"`
	UID   *uint32      `json:"uid,omitempty"`
	GID   *uint32      `json:"gid,omitempty"`
	Rdev  *uint32      `json:"rdev,omitempty"`
}

// over returns info with the attributes in the place of its own.
func (a *FileAttributes) over(info fs.FileInfo) fs.FileInfo {
	out := attributes{FileInfo: info, size: info.Size(), mode: info.Mode(), modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		out.stat = *st
	}
	if a.Size != nil {
		out.size, out.stat.Size = int64(*a.Size), int64(*a.Size)
	}
	if a.Mtime != nil {
		out.modified, out.stat.Mtim = time.Unix(a.Mtime.Unix()), *a.Mtime
	}
	if a.Kind != nil {
		out.mode = out.mode&^fs.ModeType | *a.Kind&fs.ModeType
	}
	if a.Perm != nil {
		out.mode = out.mode&^fs.ModePerm | fs.FileMode(*a.Perm)&fs.ModePerm
		out.stat.Mode = out.stat.Mode&^uint32(fs.ModePerm) | uint32(*a.Perm)&uint32(fs.ModePerm)
	}
	set(&out.stat.Ino, a.Ino)
	set(&out.stat.Uid, a.UID)
	set(&out.stat.Gid, a.GID)
	set(&out.stat.Atim, a.Atime)
	set(&out.stat.Ctim, a.Ctime)
	if a.Blocks != nil {
		out.stat.Blocks = int64(*a.Blocks)
	}
	if a.Nlink != nil {
		setNumber(&out.stat.Nlink, *a.Nlink)
	}
	if a.Rdev != nil {
		setNumber(&out.stat.Rdev, *a.Rdev)
	}
	return out
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// setNumber is for fields whose width depends on the architecture.
func setNumber[T ~uint32 | ~uint64](field *T, value uint32) { *field = T(value) }

// attributes is a FileInfo whose attributes are not the file's own.
type attributes struct {
	fs.FileInfo

	size     int64
	mode     fs.FileMode
	modified time.Time
	stat     syscall.Stat_t
}

func (a attributes) Size() int64        { return a.size }
func (a attributes) Mode() fs.FileMode  { return a.mode }
func (a attributes) ModTime() time.Time { return a.modified }
func (a attributes) IsDir() bool        { return a.mode.IsDir() }
func (a attributes) Sys() any           { return &a.stat }

// hits counts how often a rule has struck.
type hits struct{ n atomic.Int64 }

// take counts one more, unless limit has been reached; 0 is no limit.
func (h *hits) take(limit int64) bool { return limit == 0 || h.n.Add(1) <= limit }
