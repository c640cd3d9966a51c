package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
)

// tool is a command-line tool; it returns its exit code.
type tool func(c *command) int

// tools are the tools by name.
func tools() map[string]tool {
	all := map[string]tool{}
	for _, group := range []map[string]tool{fileTools(), textTools(), systemTools(), userTools(), netTools(), archiveTools()} {
		maps.Copy(all, group)
	}
	return all
}

// abs is a container path, absolute.
func (c *command) abs(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(c.dir, name)
}

// fail prints a message behind the command's name and returns code.
func (c *command) fail(code int, format string, args ...any) int {
	fmt.Fprintf(c.err, "%s: %s\n", path.Base(c.name), fmt.Sprintf(format, args...))
	return code
}

func (c *command) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// environ is the exported environment as NAME=value, sorted.
func (c *command) environ() []string {
	vars := map[string]string{}
	c.env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.Kind == expand.String {
			vars[name] = v.String()
		}
		return true
	})
	var out []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, name+"="+vars[name])
	}
	return out
}

// reason is the operating system's word for a file error, without the path.
func reason(err error) string {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "No such file or directory"
	}
	if errors.Is(err, fs.ErrPermission) {
		return "Permission denied"
	}
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// open opens a file for reading; "-" is the standard input.
func (c *command) open(name string) (io.ReadCloser, error) {
	switch name {
	case "-", "/dev/stdin":
		return io.NopCloser(c.in), nil
	case "/dev/null":
		return nullDevice{}, nil
	}
	f, err := c.sys.Files.Open(c.abs(name))
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	return f, nil
}

// eachInput calls do for every file of names, or for the standard input when there is none. It returns 1 when one could not
// be opened or read, else 0.
func (c *command) eachInput(names []string, do func(name string, r io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 0
	for _, name := range names {
		r, err := c.open(name)
		if err == nil {
			err = do(name, r)
			r.Close()
		}
		if err != nil {
			code = c.fail(1, "%s: %s", name, reason(err))
		}
	}
	return code
}

// eachLine calls do for every line, without its end, until do is false.
func eachLine(r io.Reader, do func(line string) bool) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if line != "" && !do(strings.TrimSuffix(line, "\n")) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// flags are parsed options.
type flags struct {
	set    map[string]bool
	values map[string][]string
	rest   []string
}

func (f flags) has(name string) bool { return f.set[name] }

// value is the last value of an option, or otherwise.
func (f flags) value(name, otherwise string) string {
	if list := f.values[name]; len(list) > 0 {
		return list[len(list)-1]
	}
	return otherwise
}

// parse reads options. spec lists the short ones, those with a value followed by a colon, as in getopt; long maps long names
// to short ones. A negative number where a lone operand is wanted (head -5) is the option n when spec has it.
func (c *command) parse(spec string, long map[string]string) (flags, bool) {
	f := flags{set: map[string]bool{}, values: map[string][]string{}}
	takesValue := func(name string) (takes, known bool) {
		i := strings.Index(spec, name)
		return i >= 0 && strings.HasPrefix(spec[i+len(name):], ":"), i >= 0 && name != ":"
	}
	args := c.args
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			f.rest = append(f.rest, args...)
			return f, true
		case strings.HasPrefix(arg, "--"):
			name, value, inline := strings.Cut(arg[2:], "=")
			short, known := long[name]
			if !known {
				c.fail(codeUsage, "unrecognized option '--%s'", name)
				return f, false
			}
			f.set[short] = true
			if takes, _ := takesValue(short); !takes {
				continue
			}
			if !inline {
				if len(args) == 0 {
					c.fail(codeUsage, "option '--%s' requires an argument", name)
					return f, false
				}
				value, args = args[0], args[1:]
			}
			f.values[short] = append(f.values[short], value)
		case len(arg) > 1 && arg[0] == '-':
			if isNumber(arg[1:]) && strings.Contains(spec, "n:") {
				f.set["n"], f.values["n"] = true, append(f.values["n"], arg[1:])
				continue
			}
			ok := false
			if args, ok = c.parseShort(arg[1:], args, f, takesValue); !ok {
				return f, false
			}
		default:
			f.rest = append(f.rest, arg)
			if strings.HasPrefix(spec, "+") {
				f.rest = append(f.rest, args...)
				return f, true
			}
		}
	}
	return f, true
}

func (c *command) parseShort(cluster string, args []string, f flags, takesValue func(string) (bool, bool)) ([]string, bool) {
	for i, r := range cluster {
		name := string(r)
		takes, known := takesValue(name)
		if !known {
			c.fail(codeUsage, "unrecognized option: %s", name)
			return args, false
		}
		f.set[name] = true
		if !takes {
			continue
		}
		value := cluster[i+len(name):]
		if value == "" {
			if len(args) == 0 {
				c.fail(codeUsage, "option requires an argument: %s", name)
				return args, false
			}
			value, args = args[0], args[1:]
		}
		f.values[name] = append(f.values[name], value)
		break
	}
	return args, true
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Commands are the names of the tools, sorted. The shell itself, its built-ins and what an image brings come on top.
func Commands() []string { return slices.Sorted(maps.Keys(tools())) }

func (c *command) allLines(names []string) ([]string, int) {
	var lines []string
	code := c.eachInput(names, func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) bool { lines = append(lines, line); return true })
	})
	return lines, code
}

// spawn runs another command with this one's streams.
func (c *command) spawn(argv []string, in io.Reader) int {
	sub := *c
	sub.name, sub.args, sub.in, sub.found = argv[0], argv[1:], in, false
	code := sub.exec()
	if !sub.found {
		return c.fail(codeNotFound, "%s: not found", argv[0])
	}
	return code
}
