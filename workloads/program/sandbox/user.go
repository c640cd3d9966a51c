package sandbox

import (
	"io/fs"
	"path"
	"slices"
	"syscall"
)

// User is who a container's processes are. The operating-system processes are all the node's own user: what a user may do
// with files is decided by the Tree.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
	// Groups are the supplementary groups.
	Groups []uint32 `json:"groups,omitempty"`
}

// in reports whether the user is a member of a group.
func (u User) in(gid uint32) bool { return u.GID == gid || slices.Contains(u.Groups, gid) }

// What a permission is asked for, as in access(2).
const (
	mayRead    = 4
	mayWrite   = 2
	mayExecute = 1
)

// May reports whether the mode bits of a file grant want: read 4, write 2, execute 1.
func (u User) May(info fs.FileInfo, want fs.FileMode) bool {
	if u.UID == 0 {
		return true
	}
	perm, o := info.Mode().Perm(), ownerOf(info)
	switch {
	case o.guessed: // The node could not give it away: the class is not known.
		perm |= perm>>6 | perm>>3
	case o.uid == u.UID:
		perm >>= 6
	case u.in(o.gid):
		perm >>= 3
	}
	return perm&want == want
}

// owns reports whether the user may change the attributes of a file.
func (u User) owns(info fs.FileInfo) bool {
	return u.UID == 0 || ownerOf(info).uid == u.UID
}

// access checks want on what lies at rel.
func (t *Tree) access(m mount, rel string, want fs.FileMode) error {
	if t.user.UID == 0 {
		return nil
	}
	info, err := m.lstat(rel)
	if err != nil {
		return err
	}
	if !t.user.May(info, want) {
		return syscall.EACCES
	}
	return nil
}

// search checks that names in the directory at the clean absolute path dir may be looked up.
func (t *Tree) search(dir string) error {
	if t.user.UID == 0 {
		return nil
	}
	m, rel := t.find(dir)
	info, err := m.lstat(rel)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // The operation itself says what is wrong with it.
	}
	if !t.user.May(info, mayExecute) {
		return syscall.EACCES
	}
	return nil
}

// place checks that an entry may be made in the directory that rel lies in. What is missing is for the operation to say.
func (t *Tree) place(m mount, rel string) error {
	if t.user.UID == 0 || rel == "." || m.file != "" {
		return nil
	}
	info, err := m.lstat(path.Dir(rel))
	if err == nil && !t.user.May(info, mayWrite|mayExecute) {
		return syscall.EACCES
	}
	return nil
}

// displace checks that the entry rel may be removed or renamed: its directory is writable and, where that is sticky, one
// of the two is the user's own.
func (t *Tree) displace(m mount, rel string) error {
	if t.user.UID == 0 {
		return nil
	}
	info, err := m.lstat(rel)
	if err != nil {
		return nil //nolint:nilerr // As for place.
	}
	if err := t.place(m, rel); err != nil {
		return err
	}
	dir, err := m.lstat(path.Dir(rel))
	if err == nil && dir.Mode()&fs.ModeSticky != 0 && !t.user.owns(dir) && !t.user.owns(info) {
		return syscall.EPERM
	}
	return nil
}

// displaceAll is displace for rel and all that it holds.
func (t *Tree) displaceAll(m mount, rel string) error {
	if t.user.UID == 0 {
		return nil
	}
	return fs.WalkDir(m.root.FS(), path.Clean(rel), func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // As for place.
		}
		return t.displace(m, name)
	})
}

// own makes what was just made at rel the user's. In a directory with the setgid bit it has the directory's group.
func (t *Tree) own(m mount, rel string) {
	if t.user.UID == 0 && t.user.GID == 0 {
		return // As it is.
	}
	gid := t.user.GID
	if dir, err := m.lstat(path.Dir(rel)); err == nil && rel != "." && dir.Mode()&fs.ModeSetgid != 0 {
		gid = ownerOf(dir).gid
	}
	// Where the node cannot keep owners the file is its maker's, whom nothing is forbidden.
	_ = m.give(rel, t.user.UID, gid)
}

// missing are rel and the directories above it that do not exist, the outermost first.
func (m mount) missing(rel string) []string {
	var out []string
	for ; rel != "." && rel != "/"; rel = path.Dir(rel) {
		if _, err := m.root.Lstat(rel); err == nil {
			break
		}
		out = append(out, rel)
	}
	slices.Reverse(out)
	return out
}

// User is who the container's processes are.
func (t *Tree) User() User { return t.user }

// Chown gives name to another owner; an id of -1 stays as it is. Only root may; a file's owner may change its group to one
// that he is in.
func (t *Tree) Chown(name string, uid, gid int) error {
	return t.at("chown", name, true, true, func(m mount, rel string) error {
		info, err := m.lstat(rel)
		if err != nil {
			return err
		}
		o := ownerOf(info)
		if uid < 0 {
			uid = int(o.uid)
		}
		if gid < 0 {
			gid = int(o.gid)
		}
		same := uint32(uid) == o.uid && t.user.owns(info) && (uint32(gid) == o.gid || t.user.in(uint32(gid)))
		if t.user.UID != 0 && !same {
			return syscall.EPERM
		}
		return m.give(rel, uint32(uid), uint32(gid))
	})
}
