// Package shell is what runs in a container when somebody execs into it: an interpreted POSIX shell and the usual
// command-line tools, all on the container's own Sys. It never touches the host's files, processes or network.
package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/gameday-bench/gameday/workloads/program"
)

// codeNotFound and codeCannotRun are a shell's own exit codes.
const (
	codeUsage     = 2
	codeCannotRun = 126
	codeNotFound  = 127
)

var _ program.Shell = Run

// shells are the names under which the interpreter answers.
var shells = []string{"sh", "bash", "ash", "dash"}

// Run runs argv in the context of sys: a shell (sh -c ..., sh FILE, or a script on standard input), one of the tools, or
// one of the image's own commands. Its errors are those of a program.Func: an exit code other than 0 is a
// *program.ExitError, 127 for a command that does not exist.
func Run(ctx context.Context, sys *program.Sys, argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return &program.ExitError{Code: codeUsage, Err: errors.New("exec: no command given")}
	}
	c := newCommand(ctx, sys, argv)
	code := c.exec()
	if code == codeNotFound && !c.found {
		return &program.ExitError{Code: code, Err: fmt.Errorf("exec: %q: executable file not found in $PATH", argv[0])}
	}
	if code != 0 {
		return &program.ExitError{Code: code}
	}
	return nil
}

// command is one command with its arguments, working directory, environment and streams.
type command struct {
	ctx  context.Context
	sys  *program.Sys
	name string
	args []string // without the name
	dir  string
	env  expand.Environ
	in   io.Reader
	out  io.Writer
	err  io.Writer
	// found is set when there is such a command, whatever its exit code.
	found bool
	// nested is set for a command that a shell runs.
	nested bool
	// ownEcho says whether the program that this shell runs has a function named echo. nil for what is no shell.
	ownEcho *atomic.Bool
}

func newCommand(ctx context.Context, sys *program.Sys, argv []string) *command {
	c := &command{
		ctx: ctx, sys: sys, name: argv[0], args: argv[1:], dir: sys.Cwd, env: environ(sys.Env),
		in: sys.Stdin, out: sys.Stdout, err: sys.Stderr,
	}
	if c.dir == "" {
		c.dir = "/"
	}
	if c.in == nil {
		c.in = strings.NewReader("")
	}
	return c
}

func environ(env map[string]string) expand.Environ {
	list := make([]string, 0, len(env)+2)
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	if _, ok := env["PATH"]; !ok {
		list = append(list, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	if _, ok := env["HOME"]; !ok {
		list = append(list, "HOME=/root")
	}
	return expand.ListEnviron(list...)
}

// exec runs the command and returns its exit code. 127 with found unset means that there is none of that name.
func (c *command) exec() int {
	base := path.Base(c.name)
	if dir := path.Dir(c.name); strings.Contains(c.name, "/") && !isBinDir(dir) {
		return c.execFile()
	}
	c.found = true
	if slices.Contains(shells, base) {
		return c.shell()
	}
	if own := c.imageCommand(base); own != nil {
		return c.program(own)
	}
	if run, ok := tools()[base]; ok {
		c.name = base
		return run(c)
	}
	if interp.IsBuiltin(base) || slices.Contains([]string{"echo", "printf", "[", "test"}, base) {
		return c.builtin(base)
	}
	c.found = false
	return codeNotFound
}

func isBinDir(dir string) bool {
	return slices.Contains([]string{"/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}, dir)
}

// execFile runs a script of the container, or the image's own program by its path.
func (c *command) execFile() int {
	if im := c.sys.Image; im != nil && len(im.Entrypoint) > 0 && im.Entrypoint[0] == c.name {
		c.found = true
		return c.program(im.Program)
	}
	if own := c.imageCommand(c.name); own != nil {
		c.found = true
		return c.program(own)
	}
	info, err := c.sys.Files.Stat(c.abs(c.name))
	if errors.Is(err, fs.ErrNotExist) {
		return codeNotFound
	}
	c.found = true
	if err != nil {
		return c.cannotRun(reason(err))
	}
	if info.IsDir() || info.Mode().Perm()&0o111 == 0 || !c.sys.User.May(info, 1) {
		return c.cannotRun("Permission denied")
	}
	data, err := program.ReadFile(c.sys.Files, c.abs(c.name))
	if err != nil {
		return c.cannotRun(reason(err))
	}
	// What has no interpreter a shell takes for a script of its own.
	if !strings.HasPrefix(string(data), "#!") && !c.nested || bytes.IndexByte(data, 0) >= 0 {
		return c.cannotRun("exec format error")
	}
	return c.script(string(data), c.name, c.args)
}

// cannotRun says why a command that exists does not run.
func (c *command) cannotRun(why string) int {
	fmt.Fprintf(c.err, "sh: %s: %s\n", c.name, why)
	return codeCannotRun
}

// imageCommand is a command-line tool that the image brings.
func (c *command) imageCommand(name string) program.Func {
	if c.sys.Image == nil {
		return nil
	}
	return c.sys.Image.Commands[name]
}

// program runs one of the image's programs with this command's arguments, environment and streams.
func (c *command) program(run program.Func) int {
	sys := *c.sys
	sys.Args, sys.Cwd, sys.Stdin, sys.Stdout, sys.Stderr = c.args, c.dir, c.in, c.out, c.err
	sys.Env = map[string]string{}
	c.env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.Kind == expand.String {
			sys.Env[name] = v.String()
		}
		return true
	})
	return c.code(run(c.ctx, &sys))
}

// code prints an error as a process would and returns its exit code.
func (c *command) code(err error) int {
	var exit *program.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.Err != nil {
			fmt.Fprintln(c.err, exit.Err)
		}
		return exit.Code
	}
	fmt.Fprintln(c.err, err)
	return 1
}

// builtin runs a shell built-in as a command of its own.
func (c *command) builtin(name string) int {
	line, err := syntax.Quote(name, syntax.LangBash)
	for _, arg := range c.args {
		quoted, e := syntax.Quote(arg, syntax.LangBash)
		line, err = line+" "+quoted, errors.Join(err, e)
	}
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	return c.script(line, name, nil)
}

// shell is sh itself: -c COMMAND [NAME [ARG...]], FILE [ARG...], or a script on standard input.
func (c *command) shell() int {
	args := c.args
	inline := false
	var options []string
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		flag := args[0]
		args = args[1:]
		if flag == "--" {
			break
		}
		if strings.HasPrefix(flag, "--") || flag[0] == '+' {
			continue
		}
		inline = inline || strings.Contains(flag, "c")
		for _, r := range flag[1:] {
			if strings.ContainsRune("eufxn", r) {
				options = append(options, "-"+string(r))
			}
		}
	}
	switch {
	case inline && len(args) == 0:
		return c.fail(codeUsage, "-c: option requires an argument")
	case inline:
		name := c.name
		if len(args) > 1 {
			name = args[1]
		}
		return c.script(args[0], name, args[min(len(args), 2):], options...)
	case len(args) > 0:
		data, err := program.ReadFile(c.sys.Files, c.abs(args[0]))
		if err != nil {
			return c.fail(codeNotFound, "can't open '%s': %s", args[0], reason(err))
		}
		return c.script(string(data), args[0], args[1:], options...)
	}
	if isTerminal(c.in) {
		return c.session(options)
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return c.fail(1, "read script: %v", err)
	}
	c.in = strings.NewReader("")
	return c.script(string(data), c.name, nil, options...)
}
