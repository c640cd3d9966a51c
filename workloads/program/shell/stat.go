package shell

import (
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// stat shows a file's attributes or, with -f, those of the file system that holds it.
func stat(c *command) int {
	f, ok := c.parse("c:Lf", map[string]string{"format": "c", "dereference": "L", "file-system": "f"})
	if !ok {
		return codeUsage
	}
	return c.each(f.rest, func(name string) error {
		if f.has("f") {
			return c.statFileSystem(name, f.value("c", ""))
		}
		look := c.sys.Files.Lstat
		if f.has("L") {
			look = c.sys.Files.Stat
		}
		info, err := look(c.abs(name))
		if err != nil {
			return err
		}
		c.statFile(name, info, f.value("c", ""))
		return nil
	})
}

func (c *command) statFile(name string, info fs.FileInfo, format string) {
	user, group := c.owners(info, false)
	uid, gid := c.owners(info, true)
	mode, modified := octal(info.Mode()), info.ModTime().UTC().Format("2006-01-02 15:04:05.000000000 -0700")
	inode, links := uint64(0), uint64(1)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode, links = st.Ino, st.Nlink
	}
	if format == "" {
		c.printf("  File: %s\n  Size: %-10d %s\nInode: %-10d Links: %d\nAccess: (%04s/%s)  Uid: (%5s/%8s)   Gid: (%5s/%8s)\nModify: %s\n",
			name, info.Size(), kindOf(info.Mode()), inode, links, mode, modeString(info.Mode()), uid, user, gid, group, modified)
		return
	}
	c.printf("%s\n", strings.NewReplacer("%n", name, "%s", strconv.FormatInt(info.Size(), 10), "%a", mode, "%A", modeString(info.Mode()),
		"%F", kindOf(info.Mode()), "%u", uid, "%g", gid, "%U", user, "%G", group, "%h", strconv.FormatUint(links, 10), "%i", strconv.FormatUint(inode, 10),
		"%Y", strconv.FormatInt(info.ModTime().Unix(), 10), "%y", modified, "%%", "%").Replace(format))
}

func (c *command) statFileSystem(name, format string) error {
	s, err := c.sys.Files.FileSystem(c.abs(name))
	if err != nil {
		return err
	}
	kind := s.Type
	switch kind { // The words of coreutils.
	case "overlay":
		kind = "overlayfs"
	case "ext4":
		kind = "ext2/ext3"
	}
	const block = 4096
	if format == "" {
		c.printf("  File: \"%s\"\n    Type: %s\nBlock size: %d\nBlocks: Total: %d Free: %d Available: %d\n",
			name, kind, block, s.Size/block, (s.Size-s.Used)/block, s.Free/block)
		return nil
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	c.printf("%s\n", strings.NewReplacer("%n", name, "%T", kind, "%s", number(block), "%S", number(block), "%b", number(s.Size/block),
		"%f", number((s.Size-s.Used)/block), "%a", number(s.Free/block), "%%", "%").Replace(format))
	return nil
}

// octal writes permissions with the special bits, as chmod takes them.
func octal(m fs.FileMode) string {
	bits := uint64(m.Perm())
	for bit, value := range map[fs.FileMode]uint64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			bits |= value
		}
	}
	return strconv.FormatUint(bits, 8)
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	}
	return "regular file"
}
