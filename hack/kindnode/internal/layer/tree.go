package layer

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Tree makes a layer of a directory as it is, with owners, modes and times, at path to of the image; "" for its root. Files for which skip
// says true, by their path in the directory, are left out, with what is below them; so are sockets, pipes and devices.
func Tree(root, to string, skip func(name string) bool) (*Layer, error) {
	return newLayer(func(w *tar.Writer) error {
		if err := parents(w, to); err != nil {
			return err
		}
		links := map[inode]string{}
		return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			if rel == "." && to == "" {
				return nil
			}
			if rel != "." && skip(rel) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if err := one(w, file, path.Join(to, rel), d, links); err != nil {
				return fmt.Errorf("write %s: %w", rel, err)
			}
			return nil
		})
	})
}

// inode tells files from one another that have several names.
type inode struct{ device, number uint64 }

// one writes one file of a tree under the name to. links are the files with several names that have been written.
func one(w *tar.Writer, file, to string, d fs.DirEntry, links map[inode]string) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	target := ""
	switch mode := info.Mode(); {
	case mode.IsRegular(), mode.IsDir():
	case mode&fs.ModeSymlink != 0:
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	default:
		return nil
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	// The names of owners are those of this machine.
	header.Name, header.Uname, header.Gname = to, "", ""
	if info.IsDir() {
		header.Name += "/"
	}
	if !info.Mode().IsRegular() {
		return w.WriteHeader(header)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		id := inode{stat.Dev, stat.Ino}
		if first, written := links[id]; written {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
			return w.WriteHeader(header)
		}
		links[id] = to
	}
	return copyFile(w, header, file)
}

// parents writes the directories above to.
func parents(w *tar.Writer, to string) error {
	above, _ := path.Split(to)
	for i, c := range above {
		if c != '/' {
			continue
		}
		header := &tar.Header{Typeflag: tar.TypeDir, Name: above[:i+1], Mode: 0o755, ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(header); err != nil {
			return fmt.Errorf("write %s: %w", strings.TrimSuffix(header.Name, "/"), err)
		}
	}
	return nil
}
