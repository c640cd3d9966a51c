package awk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
)

// machine is one run of a program. What goes wrong in it is a panic with a *RuntimeError, which protect turns into an error.
type machine struct {
	ctx     context.Context
	cfg     Config
	program *Program

	globals []cell
	// frame are the variables of the function that runs, depth how many functions are being run.
	frame []*cell
	depth int
	// result is what the function that returned last returns.
	result value
	line   int
	steps  int

	exitCode int
	// inRange are the rules with two patterns whose first has matched and whose second has not.
	inRange map[*rule]bool

	record recordState
	nr     float64
	fnr    float64
	// Copies of the special variables, as strings.
	fs, ofs, ors, rs, subsep, convfmt, ofmt string
	converting                              bool

	out, errOut *bufio.Writer
	sinks       map[string]*sink
	// opened are the names of sinks in the order in which they were opened.
	opened  []string
	sources map[string]*source
	input   *source
	// operand is the operand that is next; readAny is set when one of them was a file.
	operand int
	readAny bool

	regexes map[string]*regexp.Regexp
	random  *rand.Rand
	seed    float64
}

func newMachine(ctx context.Context, p *Program, cfg Config) (*machine, error) {
	m := &machine{
		ctx: ctx, cfg: cfg, program: p, globals: make([]cell, len(p.names)), inRange: map[*rule]bool{},
		out: bufio.NewWriter(cfg.Stdout), errOut: bufio.NewWriter(cfg.Stderr),
		sinks: map[string]*sink{}, sources: map[string]*source{}, operand: 1, regexes: map[string]*regexp.Regexp{},
	}
	m.record.joined = true
	m.record.divided = true
	m.reseed(0)
	argv := array{"0": text("awk")}
	for i, arg := range cfg.Operands {
		argv[strconv.Itoa(i+1)] = fromOutside(arg)
	}
	environ := array{}
	for name, v := range cfg.Environ {
		environ[name] = fromOutside(v)
	}
	m.globals[slotARGV].array, m.globals[slotENVIRON].array = argv, environ
	for slot, v := range map[int]value{
		slotARGC: number(float64(len(argv))), slotFS: text(" "), slotOFS: text(" "), slotRS: text("\n"), slotORS: text("\n"),
		slotSUBSEP: text("\x1c"), slotCONVFMT: text("%.6g"), slotOFMT: text("%.6g"), slotRSTART: number(0), slotRLENGTH: number(-1),
	} {
		m.setSpecial(slot, v)
	}
	_, err := m.protect(func() flow {
		for _, arg := range cfg.Assign {
			m.assignOperand(arg)
		}
		return goOn
	})
	return m, err
}

// phases runs BEGIN, the rules for every record, and END.
func (m *machine) phases() error {
	f, err := m.actions(m.program.begin)
	if err != nil {
		return err
	}
	if f == goOn && len(m.program.rules)+len(m.program.end) > 0 {
		if err := m.records(); err != nil {
			return err
		}
	}
	_, err = m.actions(m.program.end)
	return err
}

// errNoRecord is that of a function that leaves the record where there is none.
var errNoRecord = errors.New("next is called in BEGIN or END")

// actions runs those of BEGIN or END, up to the first that does not go on.
func (m *machine) actions(list []block) (flow, error) {
	f, err := m.protect(func() flow {
		for _, action := range list {
			if f := action.exec(m); f != goOn {
				return f
			}
		}
		return goOn
	})
	if err == nil && (f == nextRecord || f == nextFile) {
		err = &RuntimeError{Line: m.line, Err: errNoRecord}
	}
	return f, err
}

// records runs the rules for every record, until there is none or exit is called.
func (m *machine) records() error {
	for {
		more := true
		f, err := m.protect(func() flow {
			line, ok := m.nextMain()
			if more = ok; !ok {
				return goOn
			}
			m.setRecord(line)
			return m.applyRules()
		})
		if err != nil || !more || f == exits {
			return err
		}
		if f == nextFile {
			m.leaveFile()
		}
	}
}

func (m *machine) applyRules() flow {
	for _, r := range m.program.rules {
		m.tick()
		m.line = r.line
		if !m.selects(r) {
			continue
		}
		if f := r.action.exec(m); f != goOn {
			return f
		}
	}
	return goOn
}

// selects says whether a rule is for the record.
func (m *machine) selects(r *rule) bool {
	switch {
	case r.pattern == nil:
		return true
	case r.last == nil:
		return r.pattern.eval(m).isTrue()
	case !m.inRange[r] && !r.pattern.eval(m).isTrue():
		return false
	}
	m.inRange[r] = !r.last.eval(m).isTrue()
	return true
}

// unwinding leaves the functions that are being run.
type unwinding struct{ flow flow }

// protect runs do and returns how it left off, also when it was from within a function.
func (m *machine) protect(do func() flow) (f flow, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case unwinding:
			f, m.frame, m.depth = p.flow, nil, 0
		case *RuntimeError:
			err = p
		default:
			panic(p)
		}
	}()
	return do(), nil
}

// fail ends the program.
func (m *machine) fail(format string, args ...any) {
	panic(&RuntimeError{Line: m.line, Err: fmt.Errorf(format, args...)})
}

// tick is called wherever a program could go on for ever.
func (m *machine) tick() {
	const every = 128
	if m.steps++; m.steps%every == 0 && m.ctx.Err() != nil {
		m.fail("interrupted: %w", context.Cause(m.ctx))
	}
}

// warn says what is wrong without ending the program.
func (m *machine) warn(format string, args ...any) {
	m.exitCode = 2
	fmt.Fprintf(m.errOut, "awk: "+format+"\n", args...)
	_ = m.errOut.Flush() // There is nowhere to say that nothing can be said.
}

// special is the value of a special variable.
func (m *machine) special(slot int) value {
	switch slot {
	case slotNF:
		m.divide()
		return number(float64(len(m.record.fields)))
	case slotNR:
		return number(m.nr)
	case slotFNR:
		return number(m.fnr)
	}
	return m.globals[slot].value
}

func (m *machine) setSpecial(slot int, v value) {
	switch slot {
	case slotNF:
		m.setFieldCount(v)
		return
	case slotNR:
		m.nr = v.float()
		return
	case slotFNR:
		m.fnr = v.float()
		return
	case slotFS:
		m.divide() // The record is divided by what FS was when it was read.
		m.fs = m.text(v)
	case slotOFS:
		m.join()
		m.ofs = m.text(v)
	case slotORS:
		m.ors = m.text(v)
	case slotRS:
		m.rs = m.text(v)
	case slotSUBSEP:
		m.subsep = m.text(v)
	case slotCONVFMT:
		m.convfmt = m.text(v)
	case slotOFMT:
		m.ofmt = m.text(v)
	}
	m.globals[slot].value = v
}

// assignOperand carries out NAME=value. A name that the program does not use needs no value.
func (m *machine) assignOperand(arg string) {
	name, raw, ok := strings.Cut(arg, "=")
	if !ok || !isName(name) {
		m.fail("cannot set %q: want NAME=value", arg)
	}
	slot, used := m.program.slots[name]
	if !used {
		return
	}
	v := &variable{name: name, slot: slot}
	p := v.place(m)
	p.store(m, fromOutside(unescape(raw)))
}

func isName(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func (m *machine) reseed(seed float64) {
	m.seed = seed
	m.random = rand.New(rand.NewPCG(uint64(int64(seed)), 0))
}

// closeAll closes what is open, in the order in which it was opened, and flushes the output.
func (m *machine) closeAll() error {
	var err error
	for len(m.opened) > 0 {
		_, e := m.protect(func() flow {
			m.closeSink(m.opened[0])
			return goOn
		})
		if err == nil {
			err = e
		}
	}
	for name := range m.sources {
		m.closeSource(name)
	}
	m.leaveFile()
	if e := errors.Join(m.out.Flush(), m.errOut.Flush()); err == nil && e != nil {
		err = &RuntimeError{Err: fmt.Errorf("write: %w", e)}
	}
	return err
}
