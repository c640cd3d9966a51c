package shell

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// viaTools are built-ins that the interpreter lacks or that would look at the host; the tools of that name stand in.
var viaTools = map[string]bool{"kill": true, "type": true, "hash": true}

// script interprets shell source. All of the interpreter's ways out of itself lead to the container.
func (c *command) script(source, name string, params []string, options ...string) int {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(source), name)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	runner, err := c.runner(params, options)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	return c.status(c.interpret(runner, file))
}

// runner makes an interpreter in the container.
func (c *command) runner(params, options []string) (*interp.Runner, error) {
	c.ownEcho = &atomic.Bool{}
	environ := &containerEnviron{Environ: c.env, c: c}
	runner, err := interp.New(
		interp.Env(environ), interp.Dir("/"), interp.StdIO(c.in, c.out, c.err),
		interp.Params(slices.Concat(options, []string{"--"}, params)...),
		interp.CallHandler(c.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return c.execHandler }),
		interp.OpenHandler(c.openHandler), interp.StatHandler(c.statHandler),
		interp.ReadDirHandler2(c.readDirHandler), interp.AccessHandler(c.accessHandler),
	)
	if err != nil {
		return nil, err
	}
	runner.Reset()
	environ.started = true
	// The option Dir looks for the directory on the host; the field does not.
	runner.Dir = c.dir
	return runner, nil
}

// status is the exit code of what was interpreted.
func (c *command) status(err error) int {
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	if err != nil {
		return c.fail(1, "%v", err)
	}
	return 0
}

// interpret runs one part of a program. Whoever writes a function named echo means it from there on.
func (c *command) interpret(runner *interp.Runner, node syntax.Node) error {
	syntax.Walk(node, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name.Value == "echo" {
			c.ownEcho.Store(true)
		}
		return true
	})
	return runner.Run(c.ctx, node)
}

// call redirects built-ins that would look at the host to tools, and echo to printf.
func (c *command) call(_ context.Context, args []string) ([]string, error) {
	switch {
	case args[0] == "echo" && !c.ownEcho.Load():
		return echo(args[1:]), nil
	case viaTools[args[0]]:
		return append([]string{"/bin/" + args[0]}, args[1:]...), nil
	case args[0] == "command" && len(args) > 1 && (args[1] == "-v" || args[1] == "-V"):
		return append([]string{"/bin/which"}, args[2:]...), nil
	}
	return args, nil
}

// echo is the printf that prints what echo would. The interpreter's own echo prints its words one by one, so that lines of jobs in the background would
// get mixed up; a shell writes a line at once.
func echo(words []string) []string {
	verb, end := "%s", `\n`
	for len(words) > 0 {
		switch words[0] {
		case "-n":
			end = ""
		case "-e":
			verb = "%b"
		case "-E":
			verb = "%s"
		default:
			return []string{"printf", verb + end, strings.Join(words, " ")}
		}
		words = words[1:]
	}
	return []string{"printf", end}
}

func (c *command) execHandler(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	sub := &command{
		ctx: ctx, sys: c.sys, name: args[0], args: args[1:], dir: hc.Dir, env: hc.Env, nested: true,
		in: hc.Stdin, out: hc.Stdout, err: hc.Stderr,
	}
	if sub.in == nil {
		sub.in = strings.NewReader("")
	}
	code := sub.exec()
	if !sub.found {
		sub.name = "sh"
		sub.fail(code, "%s: not found", args[0])
	}
	if code != 0 {
		return interp.ExitStatus(code)
	}
	return nil
}

// nullDevice stands for /dev/null and the other devices that a container without devices still has.
type nullDevice struct{ zero bool }

func (d nullDevice) Read(p []byte) (int, error) {
	if !d.zero {
		return 0, io.EOF
	}
	clear(p)
	return len(p), nil
}
func (nullDevice) Write(p []byte) (int, error) { return len(p), nil }
func (nullDevice) Close() error                { return nil }

// stream is a standard stream that was opened by its name under /dev.
type stream struct {
	io.Reader
	io.Writer
}

func (stream) Close() error { return nil }

func (c *command) openHandler(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	hc := interp.HandlerCtx(ctx)
	switch name {
	case "/dev/null":
		return nullDevice{}, nil
	case "/dev/zero":
		return nullDevice{zero: true}, nil
	case "/dev/stdin":
		return stream{hc.Stdin, io.Discard}, nil
	case "/dev/stdout":
		return stream{strings.NewReader(""), hc.Stdout}, nil
	case "/dev/stderr":
		return stream{strings.NewReader(""), hc.Stderr}, nil
	}
	if !path.IsAbs(name) {
		name = path.Join(hc.Dir, name)
	}
	f, err := c.sys.Files.OpenFile(name, flag, perm)
	if err != nil {
		return nil, c.redirectError(name, flag, err)
	}
	return f, nil
}

// redirectError says why a redirection failed in the words of busybox's shell.
func (c *command) redirectError(name string, flag int, err error) error {
	does, why := "open", reason(err)
	if flag&os.O_CREATE != 0 {
		does = "create"
	}
	if errors.Is(err, fs.ErrNotExist) {
		why = "no such file"
		if flag&os.O_CREATE != 0 {
			why = "nonexistent directory"
		}
	}
	return &fs.PathError{Op: c.name + ": can't " + does, Path: name, Err: errors.New(why)}
}

func (c *command) statHandler(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	if !path.IsAbs(name) {
		name = path.Join(interp.HandlerCtx(ctx).Dir, name)
	}
	if follow {
		return c.sys.Files.Stat(name)
	}
	return c.sys.Files.Lstat(name)
}

func (c *command) readDirHandler(ctx context.Context, name string) ([]fs.DirEntry, error) {
	if !path.IsAbs(name) {
		name = path.Join(interp.HandlerCtx(ctx).Dir, name)
	}
	return c.sys.Files.ReadDir(name)
}

// accessHandler answers for the container's user.
func (c *command) accessHandler(ctx context.Context, name string, mode interp.AccessMode) error {
	info, err := c.statHandler(ctx, name, true)
	if err != nil {
		return err
	}
	if !c.sys.User.May(info, fs.FileMode(mode)) {
		return errors.New("permission denied")
	}
	const execute = 0b001
	if mode&execute != 0 && !info.IsDir() && info.Mode()&0o111 == 0 {
		return errors.New("permission denied")
	}
	return nil
}
