package shell

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

func userTools() map[string]tool {
	return map[string]tool{"id": id, "whoami": whoami, "groups": groups, "chown": chown, "chgrp": chown}
}

// The files that name users and groups, with the number in the third field.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// lookup finds the line of a file whose field at index is value, and returns its fields.
func (c *command) lookup(file string, index int, value string) []string {
	data, err := program.ReadFile(c.sys.Files, file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 2 && fields[index] == value {
			return fields
		}
	}
	return nil
}

// nameOf is the name of a user or group, or its number when it has none.
func (c *command) nameOf(file string, number uint32) string {
	text := strconv.FormatUint(uint64(number), 10)
	if fields := c.lookup(file, 2, text); fields != nil {
		return fields[0]
	}
	if number == 0 {
		return "root" // Also in an image without such files.
	}
	return text
}

// numberOf is the number of a user or group that is given by name or by number.
func (c *command) numberOf(file, name string) (int, bool) {
	if fields := c.lookup(file, 0, name); fields != nil {
		name = fields[2]
	}
	n, err := strconv.ParseUint(name, 10, 32)
	return int(n), err == nil
}

// allGroups are the user's groups, the primary one first.
func (c *command) allGroups() []uint32 {
	u := c.sys.User
	out := []uint32{u.GID}
	for _, g := range u.Groups {
		if g != u.GID {
			out = append(out, g)
		}
	}
	return out
}

func id(c *command) int {
	f, ok := c.parse("ugGn", nil)
	if !ok {
		return codeUsage
	}
	u := c.sys.User
	show := func(file string, n uint32) string {
		if f.has("n") {
			return c.nameOf(file, n)
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	// named is as in 0(root).
	named := func(file string, n uint32) string {
		number := strconv.FormatUint(uint64(n), 10)
		if name := c.nameOf(file, n); name != number {
			return number + "(" + name + ")"
		}
		return number
	}
	var list []string
	for _, g := range c.allGroups() {
		if f.has("G") {
			list = append(list, show(groupFile, g))
		} else {
			list = append(list, named(groupFile, g))
		}
	}
	switch {
	case f.has("u"):
		c.printf("%s\n", show(passwdFile, u.UID))
	case f.has("g"):
		c.printf("%s\n", show(groupFile, u.GID))
	case f.has("G"):
		c.printf("%s\n", strings.Join(list, " "))
	default:
		c.printf("uid=%s gid=%s groups=%s\n", named(passwdFile, u.UID), named(groupFile, u.GID), strings.Join(list, ","))
	}
	return 0
}

func whoami(c *command) int {
	name := c.nameOf(passwdFile, c.sys.User.UID)
	if isNumber(name) {
		return c.fail(1, "unknown uid %s", name)
	}
	c.printf("%s\n", name)
	return 0
}

func groups(c *command) int {
	var out []string
	for _, g := range c.allGroups() {
		out = append(out, c.nameOf(groupFile, g))
	}
	c.printf("%s\n", strings.Join(out, " "))
	return 0
}

// chown is also chgrp.
func chown(c *command) int {
	f, ok := c.parse("Rhv", map[string]string{"recursive": "R"})
	if !ok || len(f.rest) < 2 {
		return c.fail(codeUsage, "want OWNER[:GROUP] FILE...")
	}
	user, group, both := strings.Cut(f.rest[0], ":")
	if path.Base(c.name) == "chgrp" {
		user, group, both = "", f.rest[0], true
	}
	uid, gid := -1, -1
	if user != "" {
		if uid, ok = c.numberOf(passwdFile, user); !ok {
			return c.fail(1, "unknown user %s", user)
		}
	}
	if both && group != "" {
		if gid, ok = c.numberOf(groupFile, group); !ok {
			return c.fail(1, "unknown group %s", group)
		}
	}
	return c.each(f.rest[1:], func(name string) error {
		if !f.has("R") {
			return c.sys.Files.Chown(c.abs(name), uid, gid)
		}
		var errs []error
		err := walk(c.sys.Files, c.abs(name), c.abs(name), 0, func(shown string, info fs.FileInfo, _ int) error {
			if info.Mode()&fs.ModeSymlink == 0 {
				errs = append(errs, c.sys.Files.Chown(shown, uid, gid))
			}
			return nil
		})
		return errors.Join(append(errs, err)...)
	})
}

// owners are the names of a file's owner and group, or their numbers.
func (c *command) owners(info fs.FileInfo, numeric bool) (user, group string) {
	uid, gid := sandbox.Owner(info)
	if numeric {
		return strconv.FormatUint(uint64(uid), 10), strconv.FormatUint(uint64(gid), 10)
	}
	return c.nameOf(passwdFile, uid), c.nameOf(groupFile, gid)
}
