package shell

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/gameday-bench/gameday/workloads/program"
)

// sysctlRoot is where a container sees its pod's sysctls.
const sysctlRoot = "/proc/sys"

// sysctl is sysctl [-enq] NAME..., sysctl -a, and sysctl [-w] NAME=VALUE..., which no container may.
func sysctl(c *command) int {
	f, ok := c.parse("aenqw", map[string]string{"all": "a", "ignore": "e", "values": "n", "quiet": "q", "write": "w"})
	if !ok {
		return codeUsage
	}
	names := f.rest
	if f.has("a") {
		names = c.sysctlsBelow(sysctlRoot)
	}
	if len(names) == 0 && !f.has("a") {
		return c.fail(1, "want [-enqw] NAME[=VALUE]... or -a")
	}
	code := 0
	for _, name := range names {
		name, _, sets := strings.Cut(name, "=")
		if err := c.sysctlOne(f, name, sets); err != nil {
			if f.has("e") && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			code = c.fail(1, "error: %s", sysctlReason(name, err))
		}
	}
	return code
}

var errReadOnly = errors.New("read-only file system") // reason writes it as the system does.

func (c *command) sysctlOne(f flags, name string, sets bool) error {
	data, err := program.ReadFile(c.sys.Files, path.Join(sysctlRoot, path.Join("/", strings.ReplaceAll(name, ".", "/"))))
	switch {
	case err != nil:
		return err
	case sets:
		return errReadOnly
	case f.has("q"):
	case f.has("n"):
		c.printf("%s\n", strings.TrimSuffix(string(data), "\n"))
	default:
		c.printf("%s = %s\n", name, strings.TrimSuffix(string(data), "\n"))
	}
	return nil
}

func sysctlReason(name string, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "'" + name + "' is an unknown key"
	}
	return "setting key '" + name + "': " + reason(err)
}

// sysctlsBelow are the names of all sysctls below a directory, in their order.
func (c *command) sysctlsBelow(dir string) []string {
	entries, err := c.sys.Files.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if e.IsDir() {
			names = append(names, c.sysctlsBelow(file)...)
			continue
		}
		names = append(names, strings.ReplaceAll(strings.TrimPrefix(file, sysctlRoot+"/"), "/", "."))
	}
	return names
}
