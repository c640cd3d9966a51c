// Package cli is the command line: it parses, calls one library function, and prints what that answers.
package cli

import (
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/term"
)

// State is everything of the process that the command line uses, so that a test can be the process.
type State struct {
	// Args are the arguments without the program's name.
	Args      []string
	LookupEnv func(string) (string, bool)
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	// StdoutTerminal and StderrTerminal say which streams a person looks at; Width is the terminal's number of columns.
	StdoutTerminal bool
	StderrTerminal bool
	Width          int
	// Cwd is the working directory; Executable is the path of this program.
	Cwd        string
	Executable string
	// Signals delivers SIGINT and SIGTERM; nil means none.
	Signals <-chan os.Signal
	// Exit ends the process at once: the second signal calls it.
	Exit func(code int)
	// Backend is what the commands act through.
	Backend Backend
}

// System is the state of the real process.
func System() State {
	s := State{
		Args: os.Args[1:], LookupEnv: os.LookupEnv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Width: 80, Exit: os.Exit, Backend: systemBackend(),
	}
	smart := s.env("TERM") != "dumb"
	s.StdoutTerminal = smart && term.IsTerminal(int(os.Stdout.Fd()))
	s.StderrTerminal = smart && term.IsTerminal(int(os.Stderr.Fd()))
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
		s.Width = width
	} else if width, err := strconv.Atoi(s.env("COLUMNS")); err == nil && width > 0 {
		s.Width = width
	}
	s.Cwd, _ = os.Getwd()             // Empty in a directory that was deleted: relative paths then fail by themselves.
	s.Executable, _ = os.Executable() // Empty: commands that need it say so.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	s.Signals = signals
	return s
}

func (s State) env(name string) string {
	value, _ := s.LookupEnv(name)
	return value
}

// color reports whether colours may be used on standard error.
func (s State) color() bool { return s.StderrTerminal && s.env("NO_COLOR") == "" }

// progressTerminal reports whether progress may be redrawn: not in CI, where terminals are recorded.
func (s State) progressTerminal() bool { return s.StderrTerminal && s.env("CI") == "" }
