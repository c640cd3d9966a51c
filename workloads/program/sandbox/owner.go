package sandbox

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A container's files have owners of their own. Where the node runs as root they are the files' owners on the real host;
// elsewhere they are kept in an extended attribute, and what has none belongs to the container's root.

// ownerAttribute holds the owner of a file: user and group, four bytes each.
const ownerAttribute = "user.owner"

// privileged is set when this process may give files away.
var privileged = os.Geteuid() == 0

type owner struct {
	uid, gid uint32
	// guessed is set when nobody recorded the owner.
	guessed bool
}

// owned is a file's information with the owner that the container sees.
type owned struct {
	fs.FileInfo
	st syscall.Stat_t
	// guessed: see owner.
	guessed bool
}

func (o *owned) Sys() any { return &o.st }

// ownerOf is the owner that Tree's methods put into info.
func ownerOf(info fs.FileInfo) owner {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{guessed: true}
	}
	o := owner{uid: st.Uid, gid: st.Gid}
	if v, ok := info.(*owned); ok {
		o.guessed = v.guessed
	}
	return o
}

// Owner returns the user and the group that a container's file belongs to.
func Owner(info fs.FileInfo) (uid, gid uint32) {
	o := ownerOf(info)
	return o.uid, o.gid
}

// lstat is that of the mount's directory, with the container's owner.
func (m mount) lstat(rel string) (fs.FileInfo, error) {
	info, err := m.root.Lstat(rel)
	if err != nil || privileged {
		return info, err
	}
	return m.recorded(rel, info), nil
}

// recorded puts the recorded owner into info.
func (m mount) recorded(rel string, info fs.FileInfo) fs.FileInfo {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info
	}
	out := &owned{FileInfo: info, st: *st, guessed: true}
	out.st.Uid, out.st.Gid = 0, 0
	if !info.Mode().IsRegular() && !info.IsDir() {
		return out
	}
	f, err := m.root.Open(rel)
	if err != nil {
		return out
	}
	defer f.Close()
	var value [8]byte
	switch n, err := unix.Fgetxattr(int(f.Fd()), ownerAttribute, value[:]); {
	case err == nil && n == len(value):
		out.st.Uid, out.st.Gid, out.guessed = binary.LittleEndian.Uint32(value[:4]), binary.LittleEndian.Uint32(value[4:]), false
	case errors.Is(err, unix.ENODATA) && m.at == "/":
		out.guessed = false // A file of the image: what the container makes is recorded, and the kubelet lays nothing out here.
	}
	return out
}

// give makes rel belong to a user and a group, but for the mode bits that a change of owner clears.
func (m mount) give(rel string, uid, gid uint32) error {
	if privileged {
		return m.root.Lchown(rel, int(uid), int(gid))
	}
	f, err := m.root.Open(rel)
	if err != nil {
		return err
	}
	defer f.Close()
	value := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uid), gid)
	return unix.Fsetxattr(int(f.Fd()), ownerAttribute, value, 0)
}

// entry is a directory entry with the container's owner.
type entry struct {
	fs.DirEntry
	m   mount
	rel string
}

func (e entry) Info() (fs.FileInfo, error) {
	info, err := e.DirEntry.Info()
	if err != nil || privileged {
		return info, err
	}
	return e.m.recorded(e.rel, info), nil
}
