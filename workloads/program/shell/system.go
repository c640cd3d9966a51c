package shell

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"

	"github.com/gameday-bench/gameday/workloads/program"
)

func systemTools() map[string]tool {
	return map[string]tool{
		"env": env, "printenv": printenv, "ps": ps, "date": date, "hostname": hostname,
		"sleep": sleep, "df": df, "mount": mount, "kill": kill, "which": which, "type": which, "hash": noop, "uname": uname, "basename": basename,
		"dirname": dirname, "timeout": timeout, "nproc": nproc, "sync": noop, "sysctl": sysctl, "clear": noop, "tty": tty, "uptime": uptime,
	}
}

func noop(*command) int { return 0 }

// env prints the environment, or runs a command with NAME=value added.
func env(c *command) int {
	args := c.args
	vars := c.environ()
	for len(args) > 0 && (args[0] == "-i" || args[0] == "-") {
		vars, args = nil, args[1:]
	}
	for len(args) > 0 && strings.Contains(args[0], "=") {
		vars, args = append(vars, args[0]), args[1:]
	}
	if len(args) == 0 {
		for _, kv := range vars {
			c.printf("%s\n", kv)
		}
		return 0
	}
	sub := *c
	set := map[string]string{}
	for _, kv := range vars {
		k, v, _ := strings.Cut(kv, "=")
		set[k] = v
	}
	sub.env = environ(set)
	return sub.spawn(args, c.in)
}

func printenv(c *command) int {
	code := 0
	for _, name := range c.args {
		if v := c.env.Get(name); v.IsSet() {
			c.printf("%s\n", v.String())
		} else {
			code = 1
		}
	}
	if len(c.args) == 0 {
		return env(c)
	}
	return code
}

// ps shows what a container with a PID namespace of its own would: the image's program, and this command.
func ps(c *command) int {
	main := "?"
	if len(c.sys.Main) > 0 {
		main = strings.Join(c.sys.Main, " ")
	}
	user := c.nameOf(passwdFile, c.sys.User.UID)
	c.printf("PID   USER     TIME  COMMAND\n    1 %-8s  0:00 %s\n   17 %-8s  0:00 %s\n", user, main, user, strings.Join(append([]string{c.name}, c.args...), " "))
	return 0
}

// kill can reach nothing: the container's program runs in a process of its own that a shell has no handle on.
func kill(c *command) int {
	for _, arg := range c.args {
		if arg == "1" {
			return c.fail(1, "(1) - Operation not permitted")
		}
	}
	return c.fail(1, "(%s) - No such process", strings.Join(c.args, " "))
}

func date(c *command) int {
	f, ok := c.parse("uId:", map[string]string{"utc": "u", "iso-8601": "I"})
	if !ok {
		return codeUsage
	}
	now := c.sys.Clock.Now().UTC()
	if at := f.value("d", ""); strings.HasPrefix(at, "@") {
		if unix, err := strconv.ParseInt(at[1:], 10, 64); err == nil {
			now = time.Unix(unix, 0).UTC()
		}
	}
	format := "Mon Jan _2 15:04:05 UTC 2006"
	if f.has("I") {
		format = "2006-01-02"
	}
	if len(f.rest) == 0 || !strings.HasPrefix(f.rest[0], "+") {
		c.printf("%s\n", now.Format(format))
		return 0
	}
	c.printf("%s\n", strings.NewReplacer(
		"%Y", now.Format("2006"), "%m", now.Format("01"), "%d", now.Format("02"), "%H", now.Format("15"), "%M", now.Format("04"),
		"%S", now.Format("05"), "%s", strconv.FormatInt(now.Unix(), 10), "%F", now.Format("2006-01-02"), "%T", now.Format("15:04:05"),
		"%N", now.Format("000000000"), "%Z", "UTC", "%z", "+0000", "%b", now.Format("Jan"), "%a", now.Format("Mon"), "%%", "%",
	).Replace(f.rest[0][1:]))
	return 0
}

func hostname(c *command) int {
	if len(c.args) > 0 && c.args[0] == "-i" {
		addrs, err := c.sys.Net.LookupHost(c.ctx, c.sys.Hostname)
		if err != nil {
			return c.fail(1, "%v", err)
		}
		c.printf("%s\n", strings.Join(addrs, " "))
		return 0
	}
	c.printf("%s\n", c.sys.Hostname)
	return 0
}

func tty(c *command) int {
	if isTerminal(c.in) {
		c.printf("/dev/pts/0\n")
		return 0
	}
	c.printf("not a tty\n")
	return 1
}

func nproc(c *command) int {
	c.printf("1\n")
	return 0
}

func uptime(c *command) int {
	c.printf(" %s up\n", c.sys.Clock.Now().UTC().Format("15:04:05"))
	return 0
}

func uname(c *command) int {
	if slices.Contains(c.args, "-a") {
		c.printf("Linux %s 6.1.0 #1 SMP x86_64 GNU/Linux\n", c.sys.Hostname)
		return 0
	}
	switch {
	case slices.Contains(c.args, "-n"):
		c.printf("%s\n", c.sys.Hostname)
	case slices.Contains(c.args, "-r"):
		c.printf("6.1.0\n")
	case slices.Contains(c.args, "-m"):
		c.printf("x86_64\n")
	default:
		c.printf("Linux\n")
	}
	return 0
}

// duration reads 5, 0.5, 2s, 1m, 1h, 1d.
func duration(s string) (time.Duration, bool) {
	unit := time.Second
	if s != "" {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]; ok {
			unit, s = u, s[:len(s)-1]
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return time.Duration(n * float64(unit)), err == nil && n >= 0
}

func sleep(c *command) int {
	var total time.Duration
	for _, arg := range c.args {
		if arg == "infinity" {
			arg = "36500d"
		}
		d, ok := duration(arg)
		if !ok {
			return c.fail(1, "invalid time interval '%s'", arg)
		}
		total += d
	}
	if len(c.args) == 0 {
		return c.fail(1, "missing operand")
	}
	timer := c.sys.Clock.NewTimer(total)
	defer timer.Stop()
	select {
	case <-timer.C():
		return 0
	case <-c.ctx.Done():
		return 143
	}
}

func timeout(c *command) int {
	f, ok := c.parse("+k:s:", nil)
	if !ok || len(f.rest) < 2 {
		return c.fail(125, "want DURATION COMMAND [ARG...]")
	}
	limit, ok := duration(f.rest[0])
	if !ok {
		return c.fail(125, "invalid time interval '%s'", f.rest[0])
	}
	sub := *c
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	sub.ctx = ctx
	code := sub.spawn(f.rest[1:], c.in)
	if ctx.Err() != nil && c.ctx.Err() == nil {
		return 124
	}
	return code
}

// df shows file systems as busybox does: those that hold the operands, or all of them.
func df(c *command) int {
	f, ok := c.parse("ahkmPT", nil)
	if !ok {
		return codeUsage
	}
	unit, title := int64(1024), "1K-blocks"
	switch {
	case f.has("h"):
		title = "Size"
	case f.has("m"):
		unit, title = 1<<20, "1M-blocks"
	}
	show := func(n int64) string {
		if f.has("h") {
			return human(n)
		}
		return strconv.FormatInt((n+unit-1)/unit, 10)
	}
	kind := func(text string) string {
		if !f.has("T") {
			return ""
		}
		return fmt.Sprintf(" %-10s", text)
	}
	c.printf("%-20s%s %10s %9s %9s %4s %s\n", "Filesystem", kind("Type"), title, "Used", "Available", "Use%", "Mounted on")
	line := func(s program.FileSystem) {
		used := (100*s.Used + max(s.Used+s.Free, 1) - 1) / max(s.Used+s.Free, 1) // Rounded up, as by busybox.
		c.printf("%-20s%s %10s %9s %9s %3d%% %s\n", s.Device, kind(s.Type), show(s.Size), show(s.Used), show(s.Free), used, s.MountedOn)
	}
	if len(f.rest) == 0 {
		all, err := c.sys.Files.FileSystems()
		if err != nil {
			return c.fail(1, "%s", reason(err))
		}
		for _, s := range all {
			line(s)
		}
		return 0
	}
	return c.each(f.rest, func(name string) error {
		s, err := c.sys.Files.FileSystem(c.abs(name))
		if err == nil {
			line(s)
		}
		return err
	})
}

// mount lists the file systems; making one is for the node.
func mount(c *command) int {
	f, ok := c.parse("t:o:anrvw", map[string]string{"types": "t", "options": "o", "all": "a"})
	if !ok {
		return codeUsage
	}
	if len(f.rest) > 0 || f.has("a") {
		return c.fail(1, "permission denied (are you root?)")
	}
	all, err := c.sys.Files.FileSystems()
	if err != nil {
		return c.fail(1, "%s", reason(err))
	}
	if _, err := c.sys.Files.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		all = append(all, program.FileSystem{Device: "cgroup2", MountedOn: "/sys/fs/cgroup", Type: "cgroup2", ReadOnly: true})
	}
	for _, s := range all {
		if kinds := f.value("t", s.Type); !slices.Contains(strings.Split(kinds, ","), s.Type) {
			continue
		}
		access := "rw"
		if s.ReadOnly {
			access = "ro"
		}
		c.printf("%s on %s type %s (%s,relatime)\n", s.Device, s.MountedOn, s.Type, access)
	}
	return 0
}

// which says where a command is: tools live in /bin.
func which(c *command) int {
	code := 0
	for _, name := range c.args {
		switch _, isTool := tools()[name]; {
		case isTool, slices.Contains(shells, name), c.imageCommand(name) != nil:
			c.printf("/bin/%s\n", name)
		case interp.IsBuiltin(name):
			c.printf("%s\n", name)
		default:
			code = 1
		}
	}
	return code
}

func basename(c *command) int {
	if len(c.args) == 0 {
		return c.fail(1, "missing operand")
	}
	name := path.Base(c.args[0])
	if len(c.args) > 1 && name != c.args[1] {
		name = strings.TrimSuffix(name, c.args[1])
	}
	c.printf("%s\n", name)
	return 0
}

func dirname(c *command) int {
	for _, name := range c.args {
		c.printf("%s\n", path.Dir(name))
	}
	return 0
}
