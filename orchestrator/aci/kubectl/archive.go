package kubectl

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of what a copy may bring into the workspace: the disk below it is that of the run.
const (
	maxCopied = 256 << 20
	maxFiles  = 10000
)

// errTooMuch says that a copy is larger than the workspace takes.
var errTooMuch = fmt.Errorf("the copy is too large: at most %d MiB in %d files", maxCopied>>20, maxFiles)

// capped reads at most left bytes, and fails with errTooMuch where there are more.
type capped struct {
	in   io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// pack writes the file or directory src as an archive in which it is called name.
func pack(out io.Writer, src, name string) error {
	archive := tar.NewWriter(out)
	err := filepath.WalkDir(src, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(src, file)
		if err != nil {
			return err
		}
		return packOne(archive, file, path.Join(name, filepath.ToSlash(below)), entry)
	})
	if err != nil {
		return fmt.Errorf("pack %s: %w", src, err)
	}
	return archive.Close()
}

func packOne(archive *tar.Writer, file, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	// Who owns the workspace on this machine is nobody's business.
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(archive, in)
	return err
}

// unpack reads an archive whose names begin with prefix and writes it to dest, in whose place the prefix is. Links are left
// out, and so is what would land elsewhere: the archive is made by whoever runs the container.
func unpack(in io.Reader, prefix, dest string, warnings io.Writer) error {
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(&capped{in, maxCopied})
	for count := 0; ; count++ {
		if count > maxFiles {
			return errTooMuch
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		below, ok := strings.CutPrefix(strings.TrimPrefix(header.Name, "/"), prefix)
		if !ok {
			return errors.New("tar contents corrupted")
		}
		name := path.Join(filepath.Base(dest), below)
		if name != filepath.Base(dest) && !strings.HasPrefix(name, filepath.Base(dest)+"/") {
			fmt.Fprintf(warnings, "warning: file %q is outside target destination, skipping\n", path.Join(dest, below))
			continue
		}
		if err := unpackOne(root, name, header, archive, warnings); err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, name string, header *tar.Header, in io.Reader, warnings io.Writer) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
	case tar.TypeSymlink:
		fmt.Fprintf(warnings, "warning: skipping symlink: %q -> %q\n", name, header.Linkname)
		return nil
	default:
		fmt.Fprintf(warnings, "warning: skipping %q: not a regular file\n", name)
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err == nil {
		return nil
	}
	return errors.Join(err, root.Remove(name))
}
