package shell

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

func archiveTools() map[string]tool { return map[string]tool{"tar": tarTool} }

// tarTool creates, extracts and lists tar archives; kubectl cp is built on it.
func tarTool(c *command) int {
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.args = append([]string{"-" + c.args[0]}, c.args[1:]...)
	}
	f, ok := c.parse("cxtzvpmhof:C:", map[string]string{
		"create": "c", "extract": "x", "list": "t", "gzip": "z", "file": "f", "directory": "C",
		"no-same-permissions": "p", "no-same-owner": "o", "touch": "m",
	})
	if !ok {
		return codeUsage
	}
	if f.has("C") {
		c.dir = c.abs(f.value("C", "."))
		if info, err := c.sys.Files.Stat(c.dir); err != nil || !info.IsDir() {
			return c.fail(codeUsage, "%s: Cannot open: No such file or directory", f.value("C", "."))
		}
	}
	var err error
	switch {
	case f.has("c"):
		err = c.tarCreate(f)
	case f.has("x"), f.has("t"):
		err = c.tarRead(f)
	default:
		return c.fail(codeUsage, "You must specify one of the '-ctx' options")
	}
	if err != nil {
		return c.fail(codeUsage, "%s", err)
	}
	return 0
}

func (c *command) tarCreate(f flags) (err error) {
	out := c.out
	if name := f.value("f", "-"); name != "-" {
		file, err := c.sys.Files.OpenFile(c.abs(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	if f.has("z") {
		zip := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, zip.Close()) }()
		out = zip
	}
	if len(f.rest) == 0 {
		return errors.New("Cowardly refusing to create an empty archive") //nolint:staticcheck // The words of tar.
	}
	w := tar.NewWriter(out)
	for _, name := range f.rest {
		err := walk(c.sys.Files, c.abs(name), name, 0, func(shown string, info fs.FileInfo, _ int) error {
			return c.tarAdd(w, shown, info)
		})
		if err != nil {
			return errors.Join(errors.New(name+": "+reason(err)), w.Close())
		}
	}
	return w.Close()
}

func (c *command) tarAdd(w *tar.Writer, name string, info fs.FileInfo) error {
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if link, err = c.sys.Files.Readlink(c.abs(name)); err != nil {
			return err
		}
	}
	if info.Mode()&(fs.ModeSocket|fs.ModeNamedPipe|fs.ModeDevice) != 0 {
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = strings.TrimPrefix(name, "/")
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "root", "root"
	if info.IsDir() {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := c.sys.Files.Open(c.abs(name))
	if err != nil {
		return err
	}
	defer file.Close()
	// A log may grow while it is packed: the header's size is what counts.
	_, err = io.Copy(w, io.LimitReader(file, header.Size))
	return err
}

func (c *command) tarRead(f flags) error {
	in, err := c.open(f.value("f", "-"))
	if err != nil {
		return err
	}
	defer in.Close()
	var r io.Reader = in
	if f.has("z") {
		if r, err = gzip.NewReader(in); err != nil {
			return err
		}
	}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.has("t") || f.has("v") {
			c.printf("%s\n", header.Name)
		}
		if f.has("t") {
			continue
		}
		if err := c.tarExtract(header, archive); err != nil {
			return errors.New(header.Name + ": " + reason(err))
		}
	}
}

func (c *command) tarExtract(header *tar.Header, r io.Reader) error {
	// Names stay below the directory: an absolute or climbing one is cut down, as tar does.
	full := path.Join(c.dir, path.Join("/", header.Name))
	switch header.Typeflag {
	case tar.TypeDir:
		return c.mkdirAll(full)
	case tar.TypeSymlink:
		_ = c.sys.Files.Remove(full)
		return c.sys.Files.Symlink(header.Linkname, full)
	case tar.TypeReg:
		if err := c.mkdirAll(path.Dir(full)); err != nil {
			return err
		}
		file, err := c.sys.Files.OpenFile(full, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fs.FileMode(header.Mode).Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, r)
		return errors.Join(err, file.Close())
	}
	return errors.New("unsupported type of entry " + strconv.Itoa(int(header.Typeflag)))
}
