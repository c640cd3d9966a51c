package rootfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
)

// Programs collects programs of a Debian root directory, with the shared libraries that they need, for an image that has nothing else.
type Programs struct {
	root    string
	entries map[string]layer.Entry
	read    map[string]bool
}

// In returns a collection of programs of the root directory root.
func In(root string) *Programs {
	return &Programs{root: root, entries: map[string]layer.Entry{}, read: map[string]bool{}}
}

// triplet is the name that Debian gives an architecture's directory of libraries.
func triplet() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// Libraries is the directory of shared libraries, in the root directory.
func Libraries() string { return "usr/lib/" + triplet() }

// Add adds programs by their names, each in the directory where it is. A name for another program becomes that program's copy.
func (p *Programs) Add(names ...string) error {
	for _, name := range names {
		at, err := p.find(name)
		if err != nil {
			return err
		}
		if err := p.file(at); err != nil {
			return err
		}
	}
	return nil
}

// AddDir adds every file and link below a directory, with the libraries of the files. A directory that is not there is no error when
// optional is set.
func (p *Programs) AddDir(dir string, optional bool) error {
	err := filepath.WalkDir(filepath.Join(p.root, dir), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.root, file)
		if err != nil {
			return err
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			p.entries[rel] = layer.Link(rel, target)
		case d.Type().IsRegular():
			return p.file(rel)
		}
		return nil
	})
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect %s: %w", dir, err)
	}
	return nil
}

// Entries are the files that have been collected, with the links that make /bin, /sbin and /lib what they are on Debian.
func (p *Programs) Entries() []layer.Entry {
	var out []layer.Entry
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		out = append(out, layer.Link(dir, "usr/"+dir), layer.Dir("usr/"+dir, 0o755))
	}
	for _, e := range p.entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b layer.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// find returns where a program is, in the root directory.
func (p *Programs) find(name string) (string, error) {
	for _, dir := range []string{"usr/sbin", "usr/bin"} {
		if _, err := os.Lstat(filepath.Join(p.root, dir, name)); err == nil {
			return path.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("find program %s in the Debian root directory: %w", name, fs.ErrNotExist)
}

// file adds the file at a path, links resolved, and what it needs.
func (p *Programs) file(at string) error {
	at = merged(at)
	if _, there := p.entries[at]; there {
		return nil
	}
	source, err := securejoin.SecureJoin(p.root, at)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", at, err)
	}
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("collect %s: %w", at, err)
	}
	p.entries[at] = layer.File(at, source, info.Mode())
	if p.read[source] {
		return nil
	}
	p.read[source] = true
	return p.needed(at, source)
}

// needed adds the libraries and the loader that a program or library names. Other files name none.
func (p *Programs) needed(at, source string) error {
	f, err := elf.Open(source)
	var other *elf.FormatError
	if errors.As(err, &other) || errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", at, err)
	}
	defer f.Close()
	loader, err := interpreter(f)
	if err != nil {
		return fmt.Errorf("read loader of %s: %w", at, err)
	}
	if loader != "" {
		if err := p.file(strings.TrimPrefix(loader, "/")); err != nil {
			return err
		}
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read libraries of %s: %w", at, err)
	}
	dirs := searched(f, path.Dir(at))
	for _, name := range names {
		library, err := p.library(name, dirs)
		if err != nil {
			return fmt.Errorf("collect libraries of %s: %w", at, err)
		}
		if err := p.file(library); err != nil {
			return err
		}
	}
	return nil
}

// library returns where a library is, in the root directory.
func (p *Programs) library(name string, dirs []string) (string, error) {
	for _, dir := range dirs {
		at := path.Join(dir, name)
		file, err := securejoin.SecureJoin(p.root, at)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(file); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s is in none of %s", name, strings.Join(dirs, ", "))
}

// searched are the directories in which the loader looks for the libraries of a file in dir.
func searched(f *elf.File, dir string) []string {
	var out []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, err := f.DynString(tag)
		if err != nil {
			continue // It has no such section.
		}
		for _, list := range lists {
			for _, entry := range strings.Split(list, ":") {
				entry = strings.NewReplacer("$ORIGIN", "/"+dir, "${ORIGIN}", "/"+dir).Replace(entry)
				out = append(out, strings.TrimPrefix(path.Clean(entry), "/"))
			}
		}
	}
	return append(out, Libraries(), "usr/lib64", "usr/lib")
}

// interpreter is the loader that a program names, or "".
func interpreter(f *elf.File) (string, error) {
	for _, part := range f.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		data := make([]byte, part.Filesz)
		if _, err := part.ReadAt(data, 0); err != nil {
			return "", err
		}
		return strings.TrimRight(string(data), "\x00"), nil
	}
	return "", nil
}

// merged is the path below /usr of a path in /bin, /sbin, /lib or /lib64, which are links there.
func merged(at string) string {
	at = path.Clean(at)
	first, _, _ := strings.Cut(at, "/")
	if slices.Contains([]string{"bin", "sbin", "lib", "lib64"}, first) {
		return "usr/" + at
	}
	return at
}
