package images

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// epoch is the time of everything in an image: a time that says something would change the digests.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// entry is a file, a directory or a link of a layer.
type entry struct {
	// name is the path, relative to the root.
	name  string
	mode  fs.FileMode
	owner uint32
	// link is the target of a symbolic link.
	link string
	// size is how much open's reader gives, in bytes. open is nil for what has no content.
	size int64
	open func() (io.ReadCloser, error)
}

func directory(name string, mode fs.FileMode, owner uint32) entry {
	return entry{name: name, mode: mode | fs.ModeDir, owner: owner}
}

func symlink(name, target string) entry {
	return entry{name: name, mode: 0o777 | fs.ModeSymlink, link: target}
}

func text(name, content string) entry {
	return entry{name: name, mode: 0o644, size: int64(len(content)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// withParents adds the directories that lead to entries and are not among them, and sorts by name, so that every directory
// comes before what lies in it.
func withParents(entries []entry) []entry {
	seen := map[string]bool{".": true}
	for _, e := range entries {
		seen[e.name] = true
	}
	out := slices.Clone(entries)
	for _, e := range entries {
		for dir := path.Dir(e.name); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			out = append(out, directory(dir, 0o755, 0))
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return out
}

// writeTar writes the entries as a tar archive, in their order.
func writeTar(w io.Writer, entries []entry) error {
	archive := tar.NewWriter(w)
	for _, e := range entries {
		if err := e.write(archive); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	return archive.Close()
}

func (e entry) write(archive *tar.Writer) error {
	header := &tar.Header{
		Name: e.name, Mode: int64(e.mode.Perm()), Uid: int(e.owner), Gid: int(e.owner), Size: e.size, ModTime: epoch(), Format: tar.FormatUSTAR,
	}
	switch {
	case e.mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
	case e.mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
	default:
		header.Typeflag = tar.TypeReg
	}
	const sticky = 0o1000
	if e.mode&fs.ModeSticky != 0 {
		header.Mode |= sticky
	}
	if err := archive.WriteHeader(header); err != nil || e.open == nil {
		return err
	}
	content, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}
