package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Tree is a container's file system: its root directory with its mounts over it. Every path is a container path, relative ones
// start at the working directory. Symbolic links are followed inside the container, and whatever they say, nothing outside
// the root and the mounts can be reached (os.Root). It is safe for concurrent use.
type Tree struct {
	cwd    string
	user   User
	mounts []mount // longest container path first; the last is the root.
	ask    Interposer
}

type mount struct {
	at       string // clean container path.
	root     *os.Root
	file     string // name below root when the mount is a single file.
	readOnly bool
	memory   bool     // A tmpfs.
	account  *Account // of the volume that this is a part of; nil without a limit.
}

// devices are the host's devices that a container may open.
var devices = []string{"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"}

// maxLinks bounds how many symbolic links one path may go through, as Linux does.
const maxLinks = 40

// NewTree opens the container's root and mounts. Mount points that the root lacks are made.
func NewTree(c *Container) (*Tree, error) {
	t := &Tree{cwd: path.Clean("/" + c.Cwd), user: c.User}
	root, err := os.OpenRoot(c.Root)
	if err != nil {
		return nil, fmt.Errorf("open container root: %w", err)
	}
	t.mounts = append(t.mounts, mount{at: "/", root: root, readOnly: c.ReadOnlyRoot})
	for _, m := range c.Mounts {
		if err := t.mount(m); err != nil {
			t.Close()
			return nil, fmt.Errorf("mount %s: %w", m.ContainerPath, err)
		}
	}
	slices.SortStableFunc(t.mounts, func(a, b mount) int { return len(b.at) - len(a.at) })
	return t, nil
}

func (t *Tree) mount(m Mount) error {
	at := path.Clean("/" + m.ContainerPath)
	out, isDir, err := openMount(m)
	if err != nil {
		return err
	}
	out.at = at
	if m.Account != "" {
		if out.account, err = OpenAccount(m.Account); err != nil {
			out.root.Close()
			return err
		}
	}
	t.makePoint(at, isDir)
	// A later mount at the same place hides the earlier one.
	t.mounts = slices.DeleteFunc(t.mounts, func(o mount) bool {
		if o.at == at {
			_ = o.close()
		}
		return o.at == at
	})
	t.mounts = append(t.mounts, out)
	return nil
}

// openMount opens what m mounts: a directory, or the directory that holds a file.
func openMount(m Mount) (out mount, isDir bool, err error) {
	within, rel := m.Within, "."
	if within == "" {
		within = m.HostPath
		if info, err := os.Stat(within); err == nil && !info.IsDir() {
			within, rel = filepath.Split(filepath.Clean(within))
		}
	} else if rel, err = filepath.Rel(within, m.HostPath); err != nil {
		return mount{}, false, err
	}
	base, err := os.OpenRoot(within)
	if err != nil {
		return mount{}, false, err
	}
	info, err := base.Stat(rel)
	if err != nil {
		base.Close()
		return mount{}, false, err
	}
	if isDir = info.IsDir(); !isDir {
		rel, out.file = filepath.Split(rel)
	}
	out.readOnly, out.memory = m.ReadOnly, m.Memory
	if rel = filepath.Clean(rel); rel == "." {
		out.root = base
		return out, isDir, nil
	}
	defer base.Close()
	out.root, err = base.OpenRoot(rel)
	return out, isDir, err
}

func (m mount) close() error {
	err := m.root.Close()
	if m.account != nil {
		err = errors.Join(err, m.account.Close())
	}
	return err
}

// Interpose puts ask between the container and its files. It is called before the tree is used.
func (t *Tree) Interpose(ask Interposer) { t.ask = ask }

// methods are the operations of an Interposer that a call consists of.
var methods = map[string][]string{
	"open":     {opLookup, opOpen},
	"readdir":  {opLookup, opOpendir, opReaddir, opReleasedir},
	"stat":     {opLookup, opGetattr},
	"lstat":    {opLookup, opGetattr},
	"statfs":   {opStatfs},
	"readlink": {opLookup, opReadlink},
	"mkdir":    {opLookup, opMkdir},
	"remove":   {opLookup, opUnlink},
	"rmdir":    {opLookup, opRmdir},
	"unlinkat": {opLookup, opUnlink},
	"symlink":  {opLookup, opSymlink},
	"rename":   {opLookup, opRename},
	"chmod":    {opLookup, opSetattr},
	"chtimes":  {opLookup, opSetattr},
}

// before asks the interposer about a call on what a name resolves to.
func (t *Tree) before(op string, m mount, rel string) error {
	if t.ask == nil {
		return nil
	}
	if op == "remove" {
		if info, err := m.root.Lstat(rel); err == nil && info.IsDir() {
			op = "rmdir"
		}
	}
	for _, method := range methods[op] {
		if err := t.ask.Before(method, m.path(rel)); err != nil {
			return err
		}
	}
	return nil
}

// path is the container path of rel.
func (m mount) path(rel string) string {
	if m.file != "" {
		return m.at
	}
	return path.Join(m.at, rel)
}

// makePoint makes a mount point visible in its parent's listing. A read-only parent stays as it is.
func (t *Tree) makePoint(at string, dir bool) {
	sorted := slices.Clone(t.mounts)
	slices.SortStableFunc(sorted, func(a, b mount) int { return len(b.at) - len(a.at) })
	m, rel := (&Tree{mounts: sorted}).find(at)
	if m.file != "" || rel == "." {
		return
	}
	if dir {
		_ = m.root.MkdirAll(rel, 0o755)
		return
	}
	_ = m.root.MkdirAll(path.Dir(rel), 0o755)
	if f, err := m.root.OpenFile(rel, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.Close()
	}
}

// Close closes the directories that the tree holds open.
func (t *Tree) Close() error {
	var errs []error
	for _, m := range t.mounts {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}

// Abs returns the clean absolute container path of name.
func (t *Tree) Abs(name string) string {
	if !path.IsAbs(name) {
		name = path.Join(t.cwd, name)
	}
	return path.Clean(name)
}

// find returns the mount that holds the clean absolute path p and p's name below it.
func (t *Tree) find(p string) (mount, string) {
	for _, m := range t.mounts {
		if m.at == p {
			if m.file != "" {
				return m, m.file
			}
			return m, "."
		}
		if m.file == "" && (m.at == "/" || strings.HasPrefix(p, m.at+"/")) {
			return m, strings.TrimPrefix(strings.TrimPrefix(p, m.at), "/")
		}
	}
	return mount{}, "."
}

// resolve follows the symbolic links of name inside the container, the last element's too when follow is set.
func (t *Tree) resolve(op, name string, follow bool) (mount, string, error) {
	rest := strings.Split(strings.TrimPrefix(t.Abs(name), "/"), "/")
	done, links := "/", 0
	for len(rest) > 0 && rest[0] != "" {
		if err := t.search(done); err != nil {
			return mount{}, "", &fs.PathError{Op: op, Path: name, Err: err}
		}
		next := path.Join(done, rest[0])
		rest = rest[1:]
		m, rel := t.find(next)
		last := len(rest) == 0
		if rel == "." || last && !follow {
			done = next
			continue
		}
		info, err := m.root.Lstat(rel)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				// What is missing holds no links: the operation itself says what it makes of that.
				done, rest = path.Join(append([]string{next}, rest...)...), nil
				continue
			}
			return mount{}, "", &fs.PathError{Op: op, Path: name, Err: cause(err)}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return mount{}, "", &fs.PathError{Op: op, Path: name, Err: syscall.ELOOP}
		}
		to, err := m.root.Readlink(rel)
		if err != nil {
			return mount{}, "", &fs.PathError{Op: op, Path: name, Err: cause(err)}
		}
		if !path.IsAbs(to) {
			to = path.Join(done, to)
		}
		to = path.Join(append([]string{path.Clean(to)}, rest...)...)
		done, rest = "/", strings.Split(strings.TrimPrefix(to, "/"), "/")
	}
	m, rel := t.find(done)
	return m, rel, nil
}

// at runs do on what name resolves to and gives its error name's own path.
func (t *Tree) at(op, name string, follow, write bool, do func(m mount, rel string) error) error {
	m, rel, err := t.resolve(op, name, follow)
	if err != nil {
		return err
	}
	if err := t.before(op, m, rel); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	if write && m.readOnly {
		return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS}
	}
	if err := do(m, rel); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: cause(err)}
	}
	return nil
}

// cause takes the operating system's path, which is the host's, off err.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}

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
