package shell

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

func cp(c *command) int {
	f, ok := c.parse("rRapfvL", map[string]string{"recursive": "r", "archive": "a"})
	if !ok || len(f.rest) < 2 {
		return c.fail(codeUsage, "want [-r] SOURCE... DEST")
	}
	sources, target := f.rest[:len(f.rest)-1], f.rest[len(f.rest)-1]
	return c.each(sources, func(name string) error {
		return c.copyTree(c.abs(name), c.destination(target, name), f.has("r") || f.has("R") || f.has("a"))
	})
}

func mv(c *command) int {
	f, ok := c.parse("fnv", map[string]string{"force": "f"})
	if !ok || len(f.rest) < 2 {
		return c.fail(codeUsage, "want SOURCE... DEST")
	}
	sources, target := f.rest[:len(f.rest)-1], f.rest[len(f.rest)-1]
	return c.each(sources, func(name string) error {
		from, to := c.abs(name), c.destination(target, name)
		if err := c.sys.Files.Rename(from, to); err == nil || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Mounts do not rename into one another.
		if err := c.copyTree(from, to, true); err != nil {
			return err
		}
		return c.sys.Files.RemoveAll(from)
	})
}

// destination is where source goes: into target, when that is a directory.
func (c *command) destination(target, source string) string {
	full := c.abs(target)
	if info, err := c.sys.Files.Stat(full); err == nil && info.IsDir() {
		return path.Join(full, path.Base(c.abs(source)))
	}
	return full
}

func (c *command) copyTree(from, to string, recursive bool) error {
	info, err := c.sys.Files.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return c.copyFile(from, to, info.Mode().Perm())
	}
	if !recursive {
		return errors.New("omitting directory")
	}
	if to == from || strings.HasPrefix(to, strings.TrimSuffix(from, "/")+"/") {
		return errors.New("cannot copy a directory into itself")
	}
	entries, err := c.sys.Files.ReadDir(from)
	if err != nil {
		return err
	}
	if err := c.mkdirAll(to); err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.copyTree(path.Join(from, e.Name()), path.Join(to, e.Name()), true); err != nil {
			return err
		}
	}
	return nil
}

func (c *command) copyFile(from, to string, perm fs.FileMode) error {
	in, err := c.sys.Files.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.sys.Files.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
