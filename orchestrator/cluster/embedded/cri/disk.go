package cri

import (
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// diskUse is what a directory tree takes on disk.
type diskUse struct{ bytes, inodes uint64 }

// diskCache remembers what directory trees take: walking them is dear.
type diskCache struct {
	mu    sync.Mutex
	trees map[string]cachedUse
}

type cachedUse struct {
	diskUse
	at time.Time
}

// diskMaxAge is how old a figure may be.
const diskMaxAge = 10 * time.Second

func (d *diskCache) of(id, dir string, now time.Time) diskUse {
	d.mu.Lock()
	got, ok := d.trees[id]
	d.mu.Unlock()
	if ok && now.Sub(got.at) < diskMaxAge {
		return got.diskUse
	}
	got = cachedUse{walk(dir), now}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trees == nil {
		d.trees = map[string]cachedUse{}
	}
	for key, use := range d.trees {
		if now.Sub(use.at) > 10*diskMaxAge {
			delete(d.trees, key)
		}
	}
	d.trees[id] = got
	return got.diskUse
}

// walk adds up the blocks of every file below dir. What vanishes meanwhile does not count.
func walk(dir string) diskUse {
	var use diskUse
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // It vanished: the files beside it still count.
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // It vanished: the files beside it still count.
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			use.bytes += uint64(st.Blocks) * 512
		}
		use.inodes++
		return nil
	})
	return use
}

// DiskUsage is what the node's directory takes: the writable layers of all containers, their logs, and their volumes.
func (r *Runtime) DiskUsage() (bytes, inodes uint64) {
	use := r.disk.of("", r.cfg.DiskDir, r.clock.Now())
	return use.bytes, use.inodes
}
