package shell

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"
)

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// session is a shell that somebody types into: it prompts, and runs each line when it is complete. Line editing is the
// terminal's.
func (c *command) session(options []string) int {
	runner, err := c.runner(nil, options)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	mark := "$"
	if c.sys.User.UID == 0 {
		mark = "#"
	}
	prompt := func() { c.printf("%s %s ", runner.Dir, mark) }
	code := 0
	for again := true; again; {
		again = false
		parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
		prompt()
		for stmts, err := range parser.InteractiveSeq(lines{c.in}) {
			if err != nil {
				// The rest of the line is gone with the parser; the session goes on.
				code, again = c.fail(codeUsage, "%v", err), c.ctx.Err() == nil
				break
			}
			if parser.Incomplete() {
				c.printf("> ")
				continue
			}
			for _, stmt := range stmts {
				if code = c.status(c.interpret(runner, stmt)); runner.Exited() || c.ctx.Err() != nil {
					return code
				}
			}
			prompt()
		}
	}
	return code
}

// lines reads no further than one line ahead, so that what a command reads is left to it.
type lines struct{ io.Reader }

func (l lines) Read(p []byte) (int, error) {
	for n := range p {
		if _, err := l.Reader.Read(p[n : n+1]); err != nil {
			return n, err
		}
		if p[n] == '\n' {
			return n + 1, nil
		}
	}
	return len(p), nil
}
