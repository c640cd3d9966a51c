package shell

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/itchyny/gojq"
)

var _ gojq.Iter = (*jqInputs)(nil)

// jqInputs are the inputs of a filter: the values of the files one after the other, or of the standard input.
type jqInputs struct {
	c     *command
	raw   bool
	slurp bool
	names []string
	// name is the file that is being read; "" is none, or the standard input.
	name string
	in   io.ReadCloser
	next func() (any, error)
	// code is jq's exit code for what could not be read, which has been said.
	code int
	done bool
}

func newJQInputs(c *command, o *jqOptions) *jqInputs {
	in := &jqInputs{c: c, raw: o.has("R"), slurp: o.has("s"), names: o.files}
	if len(in.names) == 0 {
		in.names = []string{"-"}
	}
	return in
}

// Next returns the next input; false is the end, also after something that is no JSON.
func (in *jqInputs) Next() (any, bool) {
	if in.done {
		return nil, false
	}
	if !in.slurp {
		return in.one()
	}
	in.done = true
	list, text := []any{}, strings.Builder{}
	for v, ok := in.one(); ok; v, ok = in.one() {
		if s, isText := v.(string); isText && in.raw {
			text.WriteString(s)
		}
		list = append(list, v)
	}
	if in.code == jqUsage && !in.raw && in.next == nil {
		return nil, false
	}
	if in.raw {
		return text.String(), true
	}
	return list, true
}

// one returns the next value of the files.
func (in *jqInputs) one() (any, bool) {
	for in.in != nil || in.open() {
		v, err := in.next()
		if err == nil {
			return v, true
		}
		in.in.Close()
		in.in = nil
		if !errors.Is(err, io.EOF) {
			in.done, in.next, in.names = true, nil, nil
			in.code = in.c.fail(jqUsage, "error (at %s): %v", in.place(), err)
		}
	}
	return nil, false
}

func (in *jqInputs) place() string {
	if in.name == "" {
		return "<stdin>"
	}
	return in.name
}

// open opens the next file that can be opened.
func (in *jqInputs) open() bool {
	for len(in.names) > 0 {
		name := in.names[0]
		in.names = in.names[1:]
		file, err := in.c.openSaying(name)
		if err != nil {
			in.code = in.c.fail(jqUsage, "error: Could not open %s: %v", name, err)
			continue
		}
		in.in, in.name, in.next = file, name, jsonValues(file)
		if name == "-" {
			in.name = ""
		}
		if in.raw {
			in.next = rawLines(file, in.slurp)
		}
		return true
	}
	return false
}

// rawLines reads lines, with their ends or without; io.EOF is the end of them.
func rawLines(r io.Reader, ends bool) func() (any, error) {
	b := bufio.NewReader(r)
	return func() (any, error) {
		line, err := b.ReadString('\n')
		if line == "" {
			return nil, err
		}
		if !ends {
			line = strings.TrimSuffix(line, "\n")
		}
		return line, nil
	}
}
