package shell

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func ls(c *command) int {
	f, ok := c.parse("laA1hRdtrSiFn", map[string]string{"all": "a", "almost-all": "A", "human-readable": "h", "recursive": "R"})
	if !ok {
		return codeUsage
	}
	names := f.rest
	if len(names) == 0 {
		names = []string{"."}
	}
	code, several := 0, len(names) > 1 || f.has("R")
	for i, name := range names {
		info, err := c.sys.Files.Lstat(c.abs(name))
		if err != nil {
			code = c.fail(codeUsage, "%s: %s", name, reason(err))
			continue
		}
		if target, err := c.sys.Files.Stat(c.abs(name)); err == nil && target.IsDir() && !f.has("l") {
			info = target
		}
		if !info.IsDir() || f.has("d") {
			c.listEntry(name, info, f)
			continue
		}
		if several && i > 0 {
			c.printf("\n")
		}
		if err := c.listDir(name, f, several); err != nil {
			code = c.fail(codeUsage, "%s: %s", name, reason(err))
		}
	}
	return code
}

func (c *command) listDir(name string, f flags, header bool) error {
	entries, err := c.sys.Files.ReadDir(c.abs(name))
	if err != nil {
		return err
	}
	if header {
		c.printf("%s:\n", name)
	}
	var infos []fs.FileInfo
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !f.has("a") && !f.has("A") {
			continue
		}
		if info, err := e.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	if f.has("t") {
		slices.SortStableFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	}
	if f.has("S") {
		slices.SortStableFunc(infos, func(a, b fs.FileInfo) int { return int(b.Size() - a.Size()) })
	}
	if f.has("r") {
		slices.Reverse(infos)
	}
	if f.has("l") {
		c.printf("total %d\n", len(infos))
	}
	for _, info := range infos {
		c.listEntry(info.Name(), info, f)
	}
	if f.has("R") {
		for _, info := range infos {
			if info.IsDir() {
				c.printf("\n")
				if err := c.listDir(path.Join(name, info.Name()), f, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *command) listEntry(name string, info fs.FileInfo, f flags) {
	if !f.has("l") && !f.has("n") {
		c.printf("%s\n", name)
		return
	}
	size := strconv.FormatInt(info.Size(), 10)
	if f.has("h") {
		size = human(info.Size())
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if to, err := c.sys.Files.Readlink(c.abs(name)); err == nil {
			name += " -> " + to
		}
	}
	links := uint64(1)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		links = st.Nlink
	}
	user, group := c.owners(info, f.has("n"))
	c.printf("%s %4d %-8s %-8s %9s %s %s\n", modeString(info.Mode()), links, user, group, size, info.ModTime().UTC().Format("Jan _2 15:04"), name)
}

// modeString writes a mode as ls does: Go marks symbolic links and sticky directories in its own way.
func modeString(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	case m&fs.ModeSocket != 0:
		kind = "s"
	case m&fs.ModeNamedPipe != 0:
		kind = "p"
	}
	bits := []byte(m.Perm().String()[1:])
	for _, special := range []struct {
		bit    fs.FileMode
		at     int
		letter byte
	}{{fs.ModeSetuid, 2, 's'}, {fs.ModeSetgid, 5, 's'}, {fs.ModeSticky, 8, 't'}} {
		if m&special.bit == 0 {
			continue
		}
		if bits[special.at] == '-' {
			special.letter -= 'a' - 'A'
		}
		bits[special.at] = special.letter
	}
	return kind + string(bits)
}

func human(n int64) string {
	v, units := float64(n), "BKMGT"
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%.1f%c", v, units[i])
}
