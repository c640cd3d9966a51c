package shell

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
)

func fileTools() map[string]tool {
	return map[string]tool{
		"ls": ls, "cat": cat, "mkdir": mkdir, "rm": rm, "rmdir": rm, "cp": cp, "mv": mv, "touch": touch, "ln": ln, "chmod": chmod,
		"find": find, "stat": stat, "du": du, "tee": tee, "readlink": readlink, "truncate": truncate,
	}
}

func cat(c *command) int {
	f, ok := c.parse("nu", nil)
	if !ok {
		return codeUsage
	}
	n := 0
	return c.eachInput(f.rest, func(_ string, r io.Reader) error {
		if !f.has("n") {
			_, err := io.Copy(c.out, r)
			return err
		}
		return eachLine(r, func(line string) bool {
			n++
			c.printf("%6d\t%s\n", n, line)
			return true
		})
	})
}

// each calls do for every operand and reports its errors.
func (c *command) each(names []string, do func(name string) error) int {
	if len(names) == 0 {
		return c.fail(1, "missing operand")
	}
	code := 0
	for _, name := range names {
		if err := do(name); err != nil {
			code = c.fail(1, "'%s': %s", name, reason(err))
		}
	}
	return code
}

func mkdir(c *command) int {
	f, ok := c.parse("pvm:", map[string]string{"parents": "p"})
	if !ok {
		return codeUsage
	}
	return c.each(f.rest, func(name string) error {
		full := c.abs(name)
		if !f.has("p") {
			if _, err := c.sys.Files.Lstat(full); err == nil {
				return errors.New("File exists") //nolint:staticcheck // The words of strerror.
			}
			if _, err := c.sys.Files.Stat(path.Dir(full)); err != nil {
				return err
			}
		}
		return c.mkdirAll(full)
	})
}

// mkdirAll makes a directory level by level: Files need not resolve a path whose middle does not exist.
func (c *command) mkdirAll(full string) error {
	if _, err := c.sys.Files.Stat(full); err == nil || full == "/" {
		return err
	}
	if err := c.mkdirAll(path.Dir(full)); err != nil {
		return err
	}
	return c.sys.Files.MkdirAll(full, 0o755)
}

func rm(c *command) int {
	f, ok := c.parse("rRfvd", map[string]string{"recursive": "r", "force": "f"})
	if !ok {
		return codeUsage
	}
	recursive := f.has("r") || f.has("R")
	if f.has("f") && len(f.rest) == 0 {
		return 0
	}
	return c.each(f.rest, func(name string) error {
		full := c.abs(name)
		info, err := c.sys.Files.Lstat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.has("f"):
			return nil
		case err != nil:
			return err
		case full == "/":
			return errors.New("it is dangerous to operate recursively on '/'")
		case info.IsDir() && c.name != "rmdir" && !recursive:
			return errors.New("Is a directory") //nolint:staticcheck // The words of strerror.
		case recursive:
			return c.sys.Files.RemoveAll(full)
		}
		return c.sys.Files.Remove(full)
	})
}

func touch(c *command) int {
	f, ok := c.parse("c", map[string]string{"no-create": "c"})
	if !ok {
		return codeUsage
	}
	return c.each(f.rest, func(name string) error {
		full := c.abs(name)
		flag := os.O_CREATE | os.O_WRONLY
		if f.has("c") {
			flag = os.O_WRONLY
		}
		file, err := c.sys.Files.OpenFile(full, flag, 0o644)
		if errors.Is(err, fs.ErrNotExist) && f.has("c") {
			return nil
		}
		if err != nil {
			return err
		}
		now := c.sys.Clock.Now()
		return errors.Join(file.Close(), c.sys.Files.Chtimes(full, now, now))
	})
}

func truncate(c *command) int {
	f, ok := c.parse("cs:", map[string]string{"no-create": "c", "size": "s"})
	if !ok {
		return codeUsage
	}
	size, err := strconv.ParseInt(f.value("s", "0"), 10, 64)
	if err != nil {
		return c.fail(1, "invalid size: '%s'", f.value("s", ""))
	}
	return c.each(f.rest, func(name string) error {
		file, err := c.sys.Files.OpenFile(c.abs(name), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return errors.Join(file.Truncate(size), file.Close())
	})
}

func ln(c *command) int {
	f, ok := c.parse("sfn", map[string]string{"symbolic": "s", "force": "f"})
	if !ok || len(f.rest) != 2 || !f.has("s") {
		return c.fail(codeUsage, "want -s TARGET NAME")
	}
	to := c.destination(f.rest[1], f.rest[0])
	if f.has("f") {
		_ = c.sys.Files.Remove(to)
	}
	if err := c.sys.Files.Symlink(f.rest[0], to); err != nil {
		return c.fail(1, "%s: %s", f.rest[1], reason(err))
	}
	return 0
}

func chmod(c *command) int {
	f, ok := c.parse("R", nil)
	if !ok || len(f.rest) < 2 {
		return c.fail(codeUsage, "want MODE FILE...")
	}
	mode, err := strconv.ParseUint(f.rest[0], 8, 12)
	if err != nil && f.rest[0] != "+x" {
		return c.fail(1, "invalid mode '%s'", f.rest[0])
	}
	return c.each(f.rest[1:], func(name string) error {
		perm := fs.FileMode(mode)
		if f.rest[0] == "+x" {
			info, err := c.sys.Files.Stat(c.abs(name))
			if err != nil {
				return err
			}
			perm = info.Mode().Perm() | 0o111
		}
		return c.sys.Files.Chmod(c.abs(name), perm)
	})
}

func readlink(c *command) int {
	f, ok := c.parse("fn", nil)
	if !ok {
		return codeUsage
	}
	for _, name := range f.rest {
		to, err := c.sys.Files.Readlink(c.abs(name))
		if err != nil && !f.has("f") {
			return 1
		}
		if err != nil {
			to = c.abs(name)
		}
		c.printf("%s\n", to)
	}
	return 0
}

func tee(c *command) int {
	f, ok := c.parse("a", map[string]string{"append": "a"})
	if !ok {
		return codeUsage
	}
	flag := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if f.has("a") {
		flag = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	code, writers := 0, []io.Writer{c.out}
	for _, name := range f.rest {
		file, err := c.sys.Files.OpenFile(c.abs(name), flag, 0o644)
		if err != nil {
			code = c.fail(1, "%s: %s", name, reason(err))
			continue
		}
		defer file.Close()
		writers = append(writers, file)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), c.in); err != nil {
		code = c.fail(1, "%s", reason(err))
	}
	return code
}
