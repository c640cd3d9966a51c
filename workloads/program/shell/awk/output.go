package awk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// redirection is where print prints: kinds of tokens, and "" for the standard output.
type redirection = kind

const (
	toFile    redirection = ">"
	toFileEnd redirection = ">>"
	toCommand redirection = "|"
)

// printing is print, or printf when it has a format.
type printing struct {
	formatted bool
	args      []expr
	to        redirection
	name      expr
}

func (s *printing) exec(m *machine) flow {
	args := make([]value, len(s.args))
	for i, e := range s.args {
		args[i] = e.eval(m)
	}
	w := m.out
	if s.to != "" {
		w = m.sink(s.to, m.text(s.name.eval(m)))
	}
	if s.formatted {
		m.write(w, m.sprintf(m.text(args[0]), args[1:]))
	} else {
		m.printLine(w, args)
	}
	if w == m.errOut {
		m.check(w.Flush())
	}
	return goOn
}

func (m *machine) printLine(w *bufio.Writer, args []value) {
	if len(args) == 0 {
		m.write(w, m.recordText())
	}
	for i, v := range args {
		if i > 0 {
			m.write(w, m.ofs)
		}
		if v.is(numeric) {
			m.write(w, m.numberText(v.num, m.ofmt))
			continue
		}
		m.write(w, v.str)
	}
	m.write(w, m.ors)
}

func (m *machine) write(w *bufio.Writer, s string) {
	_, err := w.WriteString(s)
	m.check(err)
}

// check ends the program when nothing can be written any more.
func (m *machine) check(err error) {
	if err != nil {
		m.fail("write: %w", err)
	}
}

// flush flushes everything that is buffered, which is more than what is on its way to a command.
func (m *machine) flush() {
	m.check(m.out.Flush())
	m.check(m.errOut.Flush())
	for _, name := range m.opened {
		m.check(m.sinks[name].w.Flush())
	}
}

// sink is what print writes to, other than the standard output.
type sink struct {
	w *bufio.Writer
	// close returns what close() does: an exit code, or -1.
	close func() int
}

// sink is the open sink of a name, which is opened at first.
func (m *machine) sink(to redirection, name string) *bufio.Writer {
	if to != toCommand {
		switch name {
		case "/dev/stdout", "-":
			return m.out
		case "/dev/stderr":
			return m.errOut
		}
	}
	if s, ok := m.sinks[name]; ok {
		return s.w
	}
	s := m.openSink(to, name)
	m.sinks[name] = s
	m.opened = append(m.opened, name)
	return s.w
}

func (m *machine) openSink(to redirection, name string) *sink {
	if to == toCommand {
		run := m.command(name)
		var buffer bytes.Buffer
		return &sink{w: bufio.NewWriter(&buffer), close: func() int {
			m.check(m.out.Flush())
			return run(name, &buffer, m.cfg.Stdout)
		}}
	}
	if name == "" {
		m.fail("the name of the file to print to is empty")
	}
	file, err := m.cfg.Create(name, to == toFileEnd)
	if err != nil {
		m.fail("can't redirect to %s: %w", name, err)
	}
	return &sink{w: bufio.NewWriter(file), close: func() int {
		if file.Close() != nil {
			return -1
		}
		return 0
	}}
}

// closeSink closes a sink and returns what its closing gives; -1 where there is none of the name.
func (m *machine) closeSink(name string) int {
	s, ok := m.sinks[name]
	if !ok {
		return -1
	}
	delete(m.sinks, name)
	m.opened = slices.DeleteFunc(m.opened, func(o string) bool { return o == name })
	err := s.w.Flush()
	code := s.close()
	m.check(err)
	return code
}

var errNoCommands = errors.New("no command can be run here")

// command is how a line of the shell is run; without any, the program ends.
func (m *machine) command(line string) func(string, io.Reader, io.Writer) int {
	if m.cfg.Command == nil {
		m.fail("%q: %w", line, errNoCommands)
	}
	return m.cfg.Command
}
