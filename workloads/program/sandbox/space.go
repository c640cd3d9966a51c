package sandbox

import (
	"io/fs"
	"path"
	"syscall"
)

// FileSystem is one file system of a container, as df shows it.
type FileSystem struct {
	// Device is the name in df's first column.
	Device string
	// Type is the kind of file system, as mount(8) names it.
	Type string
	// MountedOn is a container path.
	MountedOn string
	ReadOnly  bool
	// Size, Used and Free are in bytes. Free is what a write can take; it may be less than Size - Used.
	Size, Used, Free int64
}

// FileSystems lists the container's file systems: its root, then the volumes with a size of their own, in the order of
// their paths. What is mounted from the node's own disk is not listed, since it is the root's.
func (t *Tree) FileSystems() ([]FileSystem, error) {
	root, err := t.FileSystem("/")
	if err != nil {
		return nil, err
	}
	out := []FileSystem{root}
	for i := len(t.mounts) - 1; i >= 0; i-- { // Shortest path first.
		switch m := t.mounts[i]; {
		case m.at == "/" || m.file != "":
		case m.account != nil:
			out = append(out, m.space())
		case m.memory:
			space, err := t.FileSystem(m.at)
			if err != nil {
				return nil, err
			}
			out = append(out, space)
		}
	}
	return out, nil
}

// FileSystem returns the file system that holds name.
func (t *Tree) FileSystem(name string) (FileSystem, error) {
	var out FileSystem
	err := t.at("statfs", name, true, false, func(m mount, rel string) error {
		if m.account != nil {
			out = m.space()
			_, err := m.root.Lstat(rel)
			return err
		}
		f, err := m.root.Open(rel)
		if err != nil {
			return err
		}
		defer f.Close()
		var st syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
			return err
		}
		size := int64(st.Blocks) * st.Bsize
		device := "overlay"
		if m.memory {
			device = "tmpfs"
		}
		out = FileSystem{Device: device, Type: device, MountedOn: m.at, ReadOnly: m.readOnly, Size: size, Used: size - int64(st.Bfree)*st.Bsize, Free: int64(st.Bavail) * st.Bsize}
		return nil
	})
	return out, err
}

func (m mount) space() FileSystem {
	device, kind := "/dev/vdb", "ext4"
	if m.memory {
		device, kind = "tmpfs", "tmpfs"
	}
	return FileSystem{Device: device, Type: kind, MountedOn: m.at, ReadOnly: m.readOnly, Size: m.account.Capacity(), Used: m.account.Used(), Free: m.account.Free()}
}

// size is that of the regular file rel, 0 when it is something else or shared with another name.
func (m mount) size(rel string) int64 {
	info, err := m.root.Lstat(rel)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return 0
	}
	return info.Size()
}

// release runs remove, which removes rel and what it holds, and gives the space back.
func (m mount) release(rel string, remove func() error) error {
	if m.account == nil {
		return remove()
	}
	sizes := m.sizes(rel)
	if err := remove(); err != nil {
		return err // A tree that is removed in part is for Recount to find.
	}
	for _, size := range sizes {
		m.account.shrink(size, 0)
	}
	return nil
}

// sizes are those of the regular files at and below rel.
func (m mount) sizes(rel string) []int64 {
	var out []int64
	_ = fs.WalkDir(m.root.FS(), path.Clean(rel), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			out = append(out, m.size(name))
		}
		return nil
	})
	return out
}
