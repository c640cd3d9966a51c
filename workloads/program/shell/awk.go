package shell

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/gameday-bench/gameday/workloads/program/shell/awk"
)

// codePipe is the exit code of what was writing when nobody read any more: 128 and the number of SIGPIPE.
const codePipe = 128 + int(syscall.SIGPIPE)

// awkTool is awk [-F SEPARATOR] [-v NAME=VALUE]... (PROGRAM | -f FILE...) [FILE | NAME=VALUE]...
func awkTool(c *command) int {
	f, ok := c.parse("+F:v:f:", nil)
	if !ok {
		return codeUsage
	}
	source, operands, err := c.awkSource(f)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	parsed, err := awk.Parse(source)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	assign := f.values["v"]
	switch fs := f.value("F", ""); {
	case fs == "t": // As every awk has it.
		assign = append([]string{`FS=\t`}, assign...)
	case f.has("F"):
		assign = append([]string{"FS=" + fs}, assign...)
	}
	code, err := parsed.Run(c.ctx, awk.Config{
		Operands: operands, Assign: assign, Environ: c.exported(), Stdin: c.in, Stdout: c.out, Stderr: c.err,
		Open: c.openSaying, Create: c.createSaying, Command: c.line, Now: c.sys.Clock.Now,
	})
	switch {
	case err == nil:
		return code
	case c.ctx.Err() != nil:
		return 1
	case isBrokenPipe(err):
		return codePipe
	}
	return c.fail(codeUsage, "%v", err)
}

// isBrokenPipe says whether whoever read has gone, which a command ends for without a word.
func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// awkSource is the program: the files of -f, or the first operand. The other operands are its input.
func (c *command) awkSource(f flags) (source string, operands []string, err error) {
	files := f.values["f"]
	if len(files) == 0 {
		if len(f.rest) == 0 {
			return "", nil, errors.New("want [-F SEPARATOR] [-v NAME=VALUE] PROGRAM [FILE...]")
		}
		return f.rest[0], f.rest[1:], nil
	}
	var all []string
	for _, name := range files {
		in, err := c.openSaying(name)
		if err != nil {
			return "", nil, errors.New("can't open file " + name + ": " + err.Error())
		}
		data, err := io.ReadAll(in)
		in.Close()
		if err != nil {
			return "", nil, err
		}
		all = append(all, string(data))
	}
	return strings.Join(all, "\n"), f.rest, nil
}

// exported is the exported environment.
func (c *command) exported() map[string]string {
	vars := map[string]string{}
	for _, kv := range c.environ() {
		name, v, _ := strings.Cut(kv, "=")
		vars[name] = v
	}
	return vars
}

// openSaying is open with an error in the operating system's words.
func (c *command) openSaying(name string) (io.ReadCloser, error) {
	in, err := c.open(name)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	return in, nil
}

// createSaying opens a file for writing, emptied or at its end; an error is in the operating system's words.
func (c *command) createSaying(name string, atEnd bool) (io.WriteCloser, error) {
	if name == "/dev/null" {
		return nullDevice{}, nil
	}
	flag := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if atEnd {
		flag = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	file, err := c.sys.Files.OpenFile(c.abs(name), flag, 0o644)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	return file, nil
}

// line runs a line of the shell with streams of its own.
func (c *command) line(source string, in io.Reader, out io.Writer) int {
	sub := *c
	sub.out = out
	return sub.spawn([]string{"sh", "-c", source}, in)
}
