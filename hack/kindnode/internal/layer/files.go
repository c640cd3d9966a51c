package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one file, directory or symbolic link of a layer. It belongs to root and has no time, so that the same entries make the same
// layer.
type Entry struct {
	// Path is where it is in the image, with slashes and without a leading one.
	Path string
	// Mode has the permissions and fs.ModeDir, fs.ModeSymlink or nothing.
	Mode fs.FileMode
	// Source is the file on this machine that has the content of a file; without it, Text is the content.
	Source string
	Text   string
	// Target is where a symbolic link leads.
	Target string
}

// File is the file source under another name.
func File(to, source string, mode fs.FileMode) Entry {
	return Entry{Path: to, Source: source, Mode: mode.Perm()}
}

// Text is a file with content.
func Text(to, content string, mode fs.FileMode) Entry {
	return Entry{Path: to, Text: content, Mode: mode.Perm()}
}

// Dir is an empty directory. Directories above a file need not be named; they have mode 0755.
func Dir(to string, mode fs.FileMode) Entry { return Entry{Path: to, Mode: mode | fs.ModeDir} }

// Link is a symbolic link.
func Link(to, target string) Entry {
	return Entry{Path: to, Target: target, Mode: fs.ModeSymlink | 0o777}
}

// Files makes a layer of entries. Two with the same path are an error.
func Files(entries ...Entry) (*Layer, error) {
	byPath := map[string]Entry{}
	for _, e := range entries {
		e.Path = path.Clean(e.Path)
		if !fs.ValidPath(e.Path) || e.Path == "." {
			return nil, fmt.Errorf("make layer: %q is no path in an image", e.Path)
		}
		if _, twice := byPath[e.Path]; twice {
			return nil, fmt.Errorf("make layer: two files are called %s", e.Path)
		}
		byPath[e.Path] = e
	}
	for _, e := range entries {
		for dir := path.Dir(path.Clean(e.Path)); dir != "."; dir = path.Dir(dir) {
			if _, named := byPath[dir]; !named {
				byPath[dir] = Dir(dir, 0o755)
			}
		}
	}
	// A directory sorts before what is in it.
	sorted := slices.Sorted(maps.Keys(byPath))
	return newLayer(func(w *tar.Writer) error {
		for _, name := range sorted {
			if err := byPath[name].write(w); err != nil {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
		return nil
	})
}

func (e Entry) write(w *tar.Writer) error {
	header := &tar.Header{Name: e.Path, Mode: permissions(e.Mode), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
	switch {
	case e.Mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, e.Path+"/"
		return w.WriteHeader(header)
	case e.Mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.Target
		return w.WriteHeader(header)
	case e.Source == "":
		header.Size = int64(len(e.Text))
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.Copy(w, strings.NewReader(e.Text))
		return err
	}
	return copyFile(w, header, e.Source)
}

// copyFile writes header, with the size of the file, and the file's content.
func copyFile(w *tar.Writer, header *tar.Header, name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// permissions are the bits of a mode as an archive has them.
func permissions(m fs.FileMode) int64 {
	const setuid, setgid, sticky = 0o4000, 0o2000, 0o1000
	bits := int64(m.Perm())
	for flag, bit := range map[fs.FileMode]int64{fs.ModeSetuid: setuid, fs.ModeSetgid: setgid, fs.ModeSticky: sticky} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}
