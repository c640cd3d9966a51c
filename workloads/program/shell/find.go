package shell

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// finder is a parsed find expression: all of its tests must hold.
type finder struct {
	tests    []func(shown string, info fs.FileInfo) bool
	maxDepth int
	minDepth int
	exec     []string
	delete   bool
	null     bool
}

// find is find PATH... [-name G] [-iname G] [-path G] [-type T] [-maxdepth N] [-mindepth N] [-size +N] [-exec C {} ;] [-delete] [-print0].
func find(c *command) int {
	args := c.args
	var roots []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	f, err := parseFind(args)
	if err != "" {
		return c.fail(1, "%s", err)
	}
	code := 0
	for _, root := range roots {
		err := walk(c.sys.Files, c.abs(root), root, 0, func(shown string, info fs.FileInfo, depth int) error {
			if f.matches(shown, info, depth) {
				code = max(code, c.found1(f, shown))
			}
			if info.IsDir() && depth >= f.maxDepth {
				return fs.SkipDir
			}
			return c.ctx.Err()
		})
		if err != nil {
			code = c.fail(1, "%s: %s", root, reason(err))
		}
	}
	return code
}

func (f finder) matches(shown string, info fs.FileInfo, depth int) bool {
	if depth < f.minDepth || depth > f.maxDepth {
		return false
	}
	for _, test := range f.tests {
		if !test(shown, info) {
			return false
		}
	}
	return true
}

// found1 acts on one match.
func (c *command) found1(f finder, shown string) int {
	switch {
	case f.delete:
		if err := c.sys.Files.RemoveAll(c.abs(shown)); err != nil {
			return c.fail(1, "%s: %s", shown, reason(err))
		}
		return 0
	case len(f.exec) > 0:
		argv := make([]string, len(f.exec))
		for i, word := range f.exec {
			argv[i] = strings.ReplaceAll(word, "{}", shown)
		}
		return c.spawn(argv, strings.NewReader(""))
	case f.null:
		c.printf("%s\x00", shown)
	default:
		c.printf("%s\n", shown)
	}
	return 0
}

func parseFind(args []string) (finder, string) {
	f := finder{maxDepth: 1 << 30}
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch word {
		case "-print", "-a":
			continue
		case "-print0":
			f.null = true
			continue
		case "-delete":
			f.delete = true
			continue
		}
		if i+1 >= len(args) {
			return f, "missing argument to `" + word + "'"
		}
		i++
		value := args[i]
		switch word {
		case "-name", "-iname", "-path":
			f.tests = append(f.tests, globTest(word, value))
		case "-type":
			f.tests = append(f.tests, typeTest(value))
		case "-maxdepth", "-mindepth":
			n, err := strconv.Atoi(value)
			if err != nil {
				return f, "invalid argument to `" + word + "'"
			}
			if word == "-maxdepth" {
				f.maxDepth = n
			} else {
				f.minDepth = n
			}
		case "-size":
			test, ok := sizeTest(value)
			if !ok {
				return f, "invalid -size type"
			}
			f.tests = append(f.tests, test)
		case "-exec":
			for ; i < len(args) && args[i] != ";" && args[i] != "+"; i++ {
				f.exec = append(f.exec, args[i])
			}
		default:
			return f, "unknown predicate `" + word + "'"
		}
	}
	return f, ""
}

func globTest(word, pattern string) func(string, fs.FileInfo) bool {
	return func(shown string, _ fs.FileInfo) bool {
		name := path.Base(shown)
		switch word {
		case "-iname":
			name, pattern = strings.ToLower(name), strings.ToLower(pattern)
		case "-path":
			// find's * matches slashes; path.Match's does not.
			name = strings.ReplaceAll(shown, "/", "\x01")
			pattern = strings.ReplaceAll(pattern, "/", "\x01")
		}
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	}
}

func typeTest(kind string) func(string, fs.FileInfo) bool {
	return func(_ string, info fs.FileInfo) bool {
		switch kind {
		case "f":
			return info.Mode().IsRegular()
		case "d":
			return info.IsDir()
		case "l":
			return info.Mode()&fs.ModeSymlink != 0
		}
		return false
	}
}

func sizeTest(value string) (func(string, fs.FileInfo) bool, bool) {
	sign := value[:min(1, len(value))]
	number := strings.TrimLeft(value, "+-")
	unit := int64(512)
	if i := strings.IndexAny(number, "ckMG"); i >= 0 {
		unit = map[string]int64{"c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}[number[i:i+1]]
		number = number[:i]
	}
	n, err := strconv.ParseInt(number, 10, 64)
	return func(_ string, info fs.FileInfo) bool {
		switch sign {
		case "+":
			return info.Size() > n*unit
		case "-":
			return info.Size() < n*unit
		}
		return (info.Size()+unit-1)/unit == n
	}, err == nil
}
