package awk

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
)

const (
	firstBuffer = 64 << 10
	// maxRecord bounds what a record takes in memory.
	maxRecord = 64 << 20
)

// source is a stream of records.
type source struct {
	scanner *bufio.Scanner
	close   func() error
}

// flushing flushes the output before it reads, so that whoever has to answer sees what was asked.
type flushing struct {
	m *machine
	r io.Reader
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.m.out.Flush(); err != nil {
		return 0, err
	}
	return f.r.Read(p)
}

func (m *machine) newSource(r io.Reader, closing func() error) *source {
	s := &source{scanner: bufio.NewScanner(flushing{m, r}), close: closing}
	s.scanner.Buffer(make([]byte, 0, firstBuffer), maxRecord)
	s.scanner.Split(m.splitRecord)
	return s
}

// splitRecord is a bufio.SplitFunc: RS may change between any two records.
func (m *machine) splitRecord(data []byte, atEOF bool) (int, []byte, error) {
	switch {
	case len(data) == 0:
		return 0, nil, nil
	case m.rs == "":
		return splitParagraph(data, atEOF)
	case len(m.rs) == 1:
		if i := bytes.IndexByte(data, m.rs[0]); i >= 0 {
			return i + 1, data[:i], nil
		}
	default:
		// A match at the end of what was read may go on in what was not.
		at := m.regex(m.rs).FindIndex(data)
		if at != nil && at[1] > at[0] && (at[1] < len(data) || atEOF) {
			return at[1], data[:at[0]], nil
		}
	}
	if atEOF {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// splitParagraph cuts at empty lines.
func splitParagraph(data []byte, atEOF bool) (int, []byte, error) {
	start := newlines(data)
	body := data[start:]
	if end := bytes.Index(body, []byte("\n\n")); end >= 0 {
		return start + end + newlines(body[end:]), body[:end], nil
	}
	if atEOF && len(body) > 0 {
		return len(data), bytes.TrimSuffix(body, []byte("\n")), nil
	}
	return start, nil, nil
}

// newlines counts those that data begins with.
func newlines(data []byte) int { return len(data) - len(bytes.TrimLeft(data, "\n")) }

// read returns the next record; false is the end.
func (m *machine) read(s *source) (string, bool, error) {
	if s.scanner.Scan() {
		return s.scanner.Text(), true, nil
	}
	return "", false, s.scanner.Err()
}

// nextMain returns the next record of the operands; false is the end.
func (m *machine) nextMain() (string, bool) {
	for m.input != nil || m.openNext() {
		line, ok, err := m.read(m.input)
		if err != nil {
			m.fail("read: %w", err)
		}
		if ok {
			m.nr++
			m.fnr++
			return line, true
		}
		m.leaveFile()
	}
	return "", false
}

// leaveFile goes on with the next operand.
func (m *machine) leaveFile() {
	if m.input != nil {
		_ = m.input.close() // It was only read.
		m.input = nil
	}
}

// openNext opens the next operand that is a file, and sets what is set before it. Without any, the standard input is read.
func (m *machine) openNext() bool {
	for ; float64(m.operand) < m.globals[slotARGC].value.float(); m.operand++ {
		arg := m.text(m.globals[slotARGV].array[strconv.Itoa(m.operand)])
		if name, _, found := strings.Cut(arg, "="); found && isName(name) {
			m.assignOperand(arg)
			continue
		}
		if arg == "" {
			continue
		}
		m.readAny = true
		file, err := m.openInput(arg)
		if err != nil {
			m.warn("can't open file %s: %v", arg, err)
			continue
		}
		m.operand++
		m.begin(file, arg)
		return true
	}
	if m.readAny {
		return false
	}
	m.readAny = true
	m.begin(m.newSource(m.cfg.Stdin, func() error { return nil }), "")
	return true
}

// begin makes a source the main input.
func (m *machine) begin(s *source, name string) {
	m.input, m.fnr = s, 0
	m.setSpecial(slotFILENAME, fromOutside(name))
}

func (m *machine) openInput(name string) (*source, error) {
	if name == "-" {
		return m.newSource(m.cfg.Stdin, func() error { return nil }), nil
	}
	file, err := m.cfg.Open(name)
	if err != nil {
		return nil, err
	}
	return m.newSource(file, file.Close), nil
}

// getline is getline in all its forms: from the main input, from a file, or from what a command prints, into $0 or into a target.
type getline struct {
	target        target
	file, command expr
}

// eval is 1 for a record, 0 for the end, and -1 where nothing can be read.
func (e *getline) eval(m *machine) value {
	m.tick()
	var line string
	var ok bool
	switch {
	case e.file != nil || e.command != nil:
		s, err := m.source(e)
		if err == nil {
			line, ok, err = m.read(s)
		}
		if err != nil {
			return number(-1)
		}
		if ok && e.command != nil {
			m.nr++
		}
	default:
		line, ok = m.nextMain()
	}
	if !ok {
		return number(0)
	}
	if e.target == nil {
		m.setRecord(line)
		return number(1)
	}
	p := e.target.place(m)
	p.store(m, fromOutside(line))
	return number(1)
}

// The sources of getline are known by what they read and its name.
const (
	readsFile    = "<"
	readsCommand = "|"
)

// source is the open source that getline reads, which it opens at first.
func (m *machine) source(e *getline) (*source, error) {
	if e.file != nil {
		name := m.text(e.file.eval(m))
		if s, ok := m.sources[readsFile+name]; ok {
			return s, nil
		}
		s, err := m.openInput(name)
		if err == nil {
			m.sources[readsFile+name] = s
		}
		return s, err
	}
	line := m.text(e.command.eval(m))
	if s, ok := m.sources[readsCommand+line]; ok {
		return s, nil
	}
	run := m.command(line)
	m.flush()
	var output bytes.Buffer
	run(line, strings.NewReader(""), &output)
	s := m.newSource(&output, func() error { return nil })
	m.sources[readsCommand+line] = s
	return s, nil
}

// closeSource closes what getline reads, and says whether there was such.
func (m *machine) closeSource(key string) bool {
	s, ok := m.sources[key]
	if ok {
		delete(m.sources, key)
		_ = s.close() // It was only read.
	}
	return ok
}
