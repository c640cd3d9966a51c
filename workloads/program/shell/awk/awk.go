// Package awk is an interpreter of the AWK language, as POSIX describes it, that touches nothing of the system by itself: files, commands,
// streams, environment and time are those of a Config.
//
// Strings are UTF-8, and are counted in characters. Regular expressions are POSIX extended ones, matched leftmost-longest. Beyond POSIX there are
// what every awk has today: delete of a whole array, length of an array, nextfile, fflush, RS as a regular expression, an empty FS. for (k in a)
// goes through whole numbers in their order first and then through the other keys in theirs, so that the same input has the same output.
package awk

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Config is what a run of a program has to do with. Nothing in it is used after Run has returned.
type Config struct {
	// Operands are what stands behind the program on the command line: names of files, "-" for Stdin, and NAME=value, which is set
	// when its turn has come.
	Operands []string
	// Assign are NAME=value that are set before BEGIN. Escape sequences in a value are those of a string in the language.
	Assign []string
	// Environ is ENVIRON.
	Environ map[string]string
	// Stdin is read when the operands name no file. Output to Stdout is buffered, and flushed before anything more is read.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Open opens a file for reading, Create one for writing: emptied, or at its end. Their errors need not name the file.
	Open   func(name string) (io.ReadCloser, error)
	Create func(name string, atEnd bool) (io.WriteCloser, error)
	// Command runs a line of the shell and returns its exit code. Where it is nil, system() and pipes end the program with an error. What is
	// printed to a pipe is kept in memory, and handed to the command when the pipe is closed; a command of system() or getline reads nothing.
	Command func(line string, stdin io.Reader, stdout io.Writer) int
	// Now is the time that srand() takes its seed from.
	Now func() time.Time
}

// Program is a program that was read. It does not change, and may be run many times at once.
type Program struct {
	begin, end []block
	rules      []*rule
	// names are the global variables by slot, the special ones first.
	names []string
	slots map[string]int
}

// SyntaxError is a text that is no program.
type SyntaxError struct {
	// Line is where, counted from 1.
	Line int
	// Message says what is wrong.
	Message string
}

// Error names the line and what is wrong with it.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// RuntimeError is why a program was ended before its end.
type RuntimeError struct {
	// Line is the line of the statement that was being run, or 0.
	Line int
	// Err is what happened.
	Err error
}

// Error names the line and what happened.
func (e *RuntimeError) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns Err.
func (e *RuntimeError) Unwrap() error { return e.Err }

// Parse reads a program. Its error is a *SyntaxError.
func Parse(source string) (program *Program, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *SyntaxError:
			program, err = nil, p
		default:
			panic(p)
		}
	}()
	p := newParser(source)
	p.program()
	return p.result, nil
}

// Run runs the program and returns its exit code, 0 to 255. Files that cannot be opened are said on Stderr and make it 2. An error is a
// *RuntimeError; one that wraps ctx's error says that ctx has ended.
func (p *Program) Run(ctx context.Context, cfg Config) (int, error) {
	m, err := newMachine(ctx, p, cfg)
	if err != nil {
		return 0, err
	}
	err = m.phases()
	if e := m.closeAll(); err == nil {
		err = e
	}
	return m.exitCode & 0xff, err
}
