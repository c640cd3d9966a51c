package storage

import (
	"io/fs"
	"syscall"
)

// groupOf is the group that owns a file.
func groupOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Gid
	}
	return 0
}
