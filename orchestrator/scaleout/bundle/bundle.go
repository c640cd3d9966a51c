// Package bundle puts a directory into one object and back: a compressed tar archive of regular files. What is unpacked comes from
// another machine and is taken for nothing but data: no link, no device, no path out of the directory.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Limits of what is unpacked: an archive can be made that is small and unpacks to any size.
const (
	maxFiles = 100_000
	maxBytes = 4 << 30
)

// Pack returns an archive of every file below dir. Links to files are followed; a link to a directory and what is no file are
// errors. The same files give the same bytes.
func Pack(dir string) ([]byte, error) {
	var out bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	archive := tar.NewWriter(zipped)
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return add(archive, filepath.ToSlash(rel), file, entry)
	})
	if err := errors.Join(err, archive.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	return out.Bytes(), nil
}

func add(archive *tar.Writer, name, file string, entry fs.DirEntry) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatPAX}
	switch {
	case entry.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return archive.WriteHeader(header)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: copy what it stands for", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	// A log that still grows is cut where it was when it was looked at.
	_, err = io.CopyN(archive, f, header.Size)
	return err
}

// Unpack writes the files of an archive into dir, which exists. An archive that is damaged, holds what Pack does not make, or
// unpacks to more than 4 GiB is an error; dir may then hold some of its files.
func Unpack(data []byte, dir string) error {
	if err := unpack(data, dir); err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	return nil
}

func unpack(data []byte, dir string) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	limited := io.LimitReader(unzipped, maxBytes)
	archive := tar.NewReader(limited)
	for count := 0; ; count++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The checksum comes after the last file.
			_, err := io.Copy(io.Discard, limited)
			return err
		}
		if err != nil {
			return err
		}
		if count == maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		if err := extract(root, header, archive); err != nil {
			return fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return errors.New("the path leads out of the directory")
	}
	mode := fs.FileMode(header.Mode).Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, mode|0o700)
	case tar.TypeReg:
	default:
		return fmt.Errorf("type %q is neither a file nor a directory", header.Typeflag)
	}
	if parent := path.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
