package awk

// flow is where a program goes on behind a statement.
type flow uint8

const (
	// goOn is at the next statement.
	goOn flow = iota
	breaks
	continues
	nextRecord
	nextFile
	returns
	exits
)

// statement does something.
type statement interface {
	exec(m *machine) flow
}

// line is a statement and the line on which it begins.
type line struct {
	number    int
	statement statement
}

// block is what is done one after the other.
type block []line

func (b block) exec(m *machine) flow {
	for _, l := range b {
		m.line = l.number
		if f := l.statement.exec(m); f != goOn {
			return f
		}
	}
	return goOn
}

// rule is a pattern with its action. A rule without a pattern is for every record; one with a last pattern is for those from the one to the
// other.
type rule struct {
	line          int
	pattern, last expr
	action        block
}

// evaluation is an expression as a statement.
type evaluation struct{ expr expr }

func (s *evaluation) exec(m *machine) flow {
	s.expr.eval(m)
	return goOn
}

// jump is break, continue, next or nextfile.
type jump struct{ to flow }

func (s *jump) exec(*machine) flow { return s.to }

type ifStatement struct {
	condition expr
	yes, no   block
}

func (s *ifStatement) exec(m *machine) flow {
	if s.condition.eval(m).isTrue() {
		return s.yes.exec(m)
	}
	return s.no.exec(m)
}

// loop is while, do and for.
type loop struct {
	// before and after are the first and the last part of for.
	before, after statement
	// condition is nil in for (;;).
	condition expr
	body      block
	// once is set for do.
	once bool
}

func (s *loop) exec(m *machine) flow {
	if s.before != nil {
		s.before.exec(m)
	}
	for first := s.once; first || s.condition == nil || s.condition.eval(m).isTrue(); first = false {
		m.tick()
		switch f := s.body.exec(m); f {
		case goOn, continues:
		case breaks:
			return goOn
		default:
			return f
		}
		if s.after != nil {
			s.after.exec(m)
		}
	}
	return goOn
}

// forIn goes through the subscripts that an array has when it begins.
type forIn struct {
	key, array *variable
	body       block
}

func (s *forIn) exec(m *machine) flow {
	for _, key := range m.array(s.array).keys() {
		m.tick()
		p := s.key.place(m)
		p.store(m, fromOutside(key))
		switch f := s.body.exec(m); f {
		case goOn, continues:
		case breaks:
			return goOn
		default:
			return f
		}
	}
	return goOn
}

// deletion is delete of an element, or of all of them.
type deletion struct {
	array      *variable
	subscripts []expr
}

func (s *deletion) exec(m *machine) flow {
	if len(s.subscripts) == 0 {
		clear(m.array(s.array))
		return goOn
	}
	key := m.key(s.subscripts)
	delete(m.array(s.array), key)
	return goOn
}

// exitStatement is exit. Without a code, the one of an earlier exit stays.
type exitStatement struct{ code expr }

func (s *exitStatement) exec(m *machine) flow {
	if s.code != nil {
		m.exitCode = int(s.code.eval(m).float())
	}
	return exits
}

type returnStatement struct{ result expr }

func (s *returnStatement) exec(m *machine) flow {
	m.result = value{}
	if s.result != nil {
		m.result = s.result.eval(m)
	}
	return returns
}

// maxDepth bounds how deep functions call each other.
const maxDepth = 10000

// function is a function of the program.
type function struct {
	name   string
	params []string
	body   block
}

// call is the call of a function of the program, which may be defined behind it.
type call struct {
	name     string
	line     int
	args     []expr
	function *function
}

func (e *call) eval(m *machine) value {
	m.tick()
	if m.depth >= maxDepth {
		m.fail("%s: functions call each other more than %d deep", e.name, maxDepth)
	}
	frame := make([]*cell, len(e.function.params))
	for i := range frame {
		frame[i] = &cell{}
		if i < len(e.args) {
			frame[i] = m.argument(e.args[i])
		}
	}
	caller, at := m.frame, m.line
	m.frame, m.depth, m.result = frame, m.depth+1, value{}
	f := e.function.body.exec(m)
	m.frame, m.depth, m.line = caller, m.depth-1, at
	switch f {
	case nextRecord, nextFile, exits:
		panic(unwinding{f})
	}
	result := m.result
	m.result = value{}
	return result
}

// argument makes a parameter: an array is the caller's own, a value is a copy, and a variable that is neither yet may become an array for both.
func (m *machine) argument(e expr) *cell {
	v, ok := e.(*variable)
	if !ok || v.special() {
		return &cell{value: e.eval(m)}
	}
	c := m.cell(v)
	switch {
	case c.array != nil:
		return &cell{array: c.array}
	case c.value.is(unset):
		return &cell{lent: c}
	}
	return &cell{value: c.value}
}
