package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
