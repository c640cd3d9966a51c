package shell

import (
	"errors"
	"io/fs"
	"path"
	"strconv"

	"github.com/gameday-bench/gameday/workloads/program"
)

// walk visits a tree, parents before children, sorted. Symbolic links are not followed.
func walk(files program.FileReader, full, shown string, depth int, visit func(shown string, info fs.FileInfo, depth int) error) error {
	info, err := files.Lstat(full)
	if err != nil {
		return err
	}
	if err := visit(shown, info, depth); err != nil || !info.IsDir() {
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	entries, err := files.ReadDir(full)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := walk(files, path.Join(full, e.Name()), path.Join(shown, e.Name()), depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

func du(c *command) int {
	f, ok := c.parse("shkd:", nil)
	if !ok {
		return codeUsage
	}
	names := f.rest
	if len(names) == 0 {
		names = []string{"."}
	}
	return c.each(names, func(name string) error {
		var total int64
		err := walk(c.sys.Files, c.abs(name), name, 0, func(_ string, info fs.FileInfo, _ int) error {
			total += info.Size()
			return nil
		})
		size := strconv.FormatInt((total+1023)/1024, 10)
		if f.has("h") {
			size = human(total)
		}
		c.printf("%s\t%s\n", size, name)
		return err
	})
}
