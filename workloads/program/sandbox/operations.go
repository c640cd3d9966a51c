package sandbox

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What a container does with its files: each operation is looked up in the container's own terms (Tree.at), asked of the
// interposer and of the user's permissions, and then made below the mount's root.

// Open opens name for reading.
func (t *Tree) Open(name string) (*File, error) { return t.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile is os.OpenFile.
func (t *Tree) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	if p := t.Abs(name); slices.Contains(devices, p) {
		return Plain(os.OpenFile(p, flag&^os.O_CREATE, 0))
	}
	out := &File{name: t.Abs(name), ask: t.ask, appends: flag&os.O_APPEND != 0}
	write := flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND) != 0
	err := t.at("open", name, true, write, func(m mount, rel string) (err error) {
		made, err := t.admit(m, rel, flag)
		if err != nil {
			return err
		}
		var before int64
		if m.account != nil && flag&os.O_TRUNC != 0 {
			before = m.size(rel)
		}
		if out.File, err = m.root.OpenFile(rel, flag, perm); err != nil {
			return err
		}
		out.path = m.path(rel)
		if made {
			t.own(m, rel)
		}
		if out.account = m.account; before > 0 {
			m.account.shrink(before, 0)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// admit checks that a file may be opened with these flags, and reports whether that makes it.
func (t *Tree) admit(m mount, rel string, flag int) (made bool, err error) {
	if t.user.UID == 0 && t.user.GID == 0 {
		return false, nil
	}
	if _, err := m.root.Lstat(rel); errors.Is(err, fs.ErrNotExist) {
		if flag&os.O_CREATE == 0 {
			return false, err
		}
		return true, t.place(m, rel)
	}
	want := fs.FileMode(mayRead)
	if flag&(os.O_RDWR|os.O_TRUNC) != 0 {
		want |= mayWrite
	}
	if flag&os.O_WRONLY != 0 {
		want = mayWrite
	}
	return false, t.access(m, rel, want)
}

// Stat follows symbolic links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat("stat", name, true) }

// Lstat does not follow the last symbolic link.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat("lstat", name, false) }

func (t *Tree) stat(op, name string, follow bool) (info fs.FileInfo, err error) {
	err = t.at(op, name, follow, false, func(m mount, rel string) (err error) {
		if info, err = m.lstat(rel); err == nil && t.ask != nil {
			info = t.ask.Attributes(m.path(rel), info)
		}
		return err
	})
	return info, err
}

// ReadDir lists a directory, sorted by name.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	var out []fs.DirEntry
	err := t.at("readdir", name, true, false, func(m mount, rel string) error {
		if err := t.access(m, rel, mayRead); err != nil {
			return err
		}
		f, err := m.root.Open(rel)
		if err != nil {
			return err
		}
		defer f.Close()
		list, err := f.ReadDir(-1)
		for _, e := range list {
			out = append(out, entry{e, m, path.Join(rel, e.Name())})
		}
		return err
	})
	var failed *fs.PathError
	if errors.As(err, &failed) {
		failed.Op = "open" // As package os has it.
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, err
}

// Readlink returns what the symbolic link name says.
func (t *Tree) Readlink(name string) (to string, err error) {
	err = t.at("readlink", name, false, false, func(m mount, rel string) (err error) {
		to, err = m.root.Readlink(rel)
		return err
	})
	return to, err
}

// MkdirAll makes a directory and the parents that it lacks.
func (t *Tree) MkdirAll(name string, perm fs.FileMode) error {
	return t.at("mkdir", name, true, true, func(m mount, rel string) error {
		missing := m.missing(rel)
		if len(missing) > 0 {
			if err := t.place(m, missing[0]); err != nil {
				return err
			}
		}
		if err := m.root.MkdirAll(rel, perm); err != nil {
			return err
		}
		for _, dir := range missing {
			t.own(m, dir)
		}
		return nil
	})
}

// Remove removes a file or an empty directory. A mount point is busy.
func (t *Tree) Remove(name string) error {
	return t.remove("remove", name, t.displace, (*os.Root).Remove)
}

// RemoveAll removes name and all that it holds; what does not exist is no error.
func (t *Tree) RemoveAll(name string) error {
	return t.remove("unlinkat", name, t.displaceAll, (*os.Root).RemoveAll)
}

func (t *Tree) remove(op, name string, may func(mount, string) error, do func(*os.Root, string) error) error {
	return t.at(op, name, false, true, func(m mount, rel string) error {
		if rel == "." || m.file != "" {
			return syscall.EBUSY
		}
		if err := may(m, rel); err != nil {
			return err
		}
		return m.release(rel, func() error { return do(m.root, rel) })
	})
}

// Rename moves a file or directory; both names must be on the same mount.
func (t *Tree) Rename(from, to string) error {
	fail := func(err error) error { return &os.LinkError{Op: "rename", Old: from, New: to, Err: cause(err)} }
	a, arel, err := t.resolve("rename", from, false)
	if err != nil {
		return fail(err)
	}
	b, brel, err := t.resolve("rename", to, false)
	switch {
	case err != nil:
		return fail(err)
	case a.readOnly || b.readOnly:
		return fail(syscall.EROFS)
	case a.file != "" || b.file != "" || arel == "." || brel == ".":
		return fail(syscall.EBUSY)
	case a.root != b.root:
		return fail(syscall.EXDEV)
	}
	if err := t.before("rename", a, arel); err != nil {
		return fail(err)
	}
	if err := cmp.Or(t.displace(a, arel), t.displace(b, brel), t.place(b, brel)); err != nil {
		return fail(err)
	}
	replaced := b.size(brel)
	if err := a.root.Rename(arel, brel); err != nil {
		return fail(err)
	}
	if b.account != nil && arel != brel {
		b.account.shrink(replaced, 0)
	}
	return nil
}

// Symlink makes name a symbolic link that says to.
func (t *Tree) Symlink(to, name string) error {
	return t.at("symlink", name, false, true, func(m mount, rel string) error {
		if err := t.place(m, rel); err != nil {
			return err
		}
		if err := m.root.Symlink(to, rel); err != nil {
			return err
		}
		t.own(m, rel)
		return nil
	})
}

// Chmod changes name's permissions.
func (t *Tree) Chmod(name string, mode fs.FileMode) error {
	return t.at("chmod", name, true, true, func(m mount, rel string) error {
		if info, err := m.lstat(rel); err == nil && !t.user.owns(info) {
			return syscall.EPERM
		}
		return m.root.Chmod(rel, mode)
	})
}

// Chtimes changes name's times of access and modification, for its owner and whoever may write to it.
func (t *Tree) Chtimes(name string, atime, mtime time.Time) error {
	return t.at("chtimes", name, true, true, func(m mount, rel string) error {
		if info, err := m.lstat(rel); err == nil && !t.user.owns(info) && !t.user.May(info, mayWrite) {
			return syscall.EACCES
		}
		return m.root.Chtimes(rel, atime, mtime)
	})
}
