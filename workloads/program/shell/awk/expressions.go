package awk

import (
	"math"
	"regexp"
	"strings"
)

// expr is an expression.
type expr interface {
	eval(m *machine) value
}

// literal is a number or a string of the source.
type literal struct{ value value }

func (e *literal) eval(*machine) value { return e.value }

// regexLiteral is a regular expression of the source; by itself it asks whether the record matches.
type regexLiteral struct{ re *regexp.Regexp }

func (e *regexLiteral) eval(m *machine) value { return boolean(e.re.MatchString(m.recordText())) }

// pattern is the regular expression that e stands for.
func (m *machine) pattern(e expr) *regexp.Regexp {
	if lit, ok := e.(*regexLiteral); ok {
		return lit.re
	}
	return m.regex(m.text(e.eval(m)))
}

// group is an expression in parentheses: nothing can be assigned to it.
type group struct{ expr }

// unary is one of - + !
type unary struct {
	op      kind
	operand expr
}

func (e *unary) eval(m *machine) value {
	v := e.operand.eval(m)
	switch e.op {
	case "-":
		return number(-v.float())
	case "+":
		return number(v.float())
	}
	return boolean(!v.isTrue())
}

// arithmetic is one of + - * / % ^
type arithmetic struct {
	op          kind
	left, right expr
}

func (e *arithmetic) eval(m *machine) value {
	left := e.left.eval(m).float()
	return number(m.calculate(e.op, left, e.right.eval(m).float()))
}

func (m *machine) calculate(op kind, left, right float64) float64 {
	switch op {
	case "+":
		return left + right
	case "-":
		return left - right
	case "*":
		return left * right
	case "^":
		return math.Pow(left, right)
	}
	if right == 0 {
		m.fail("division by zero in %s", op)
	}
	if op == "%" {
		return math.Mod(left, right)
	}
	return left / right
}

// concatenation is what stands side by side.
type concatenation struct{ parts []expr }

func (e *concatenation) eval(m *machine) value {
	var b strings.Builder
	for _, part := range e.parts {
		b.WriteString(m.text(part.eval(m)))
	}
	return text(b.String())
}

// comparison is one of < <= == != > >=, of numbers when both sides look like numbers and of strings otherwise.
type comparison struct {
	op          kind
	left, right expr
}

func (e *comparison) eval(m *machine) value {
	left := e.left.eval(m)
	right := e.right.eval(m)
	if left.comparesAsNumber() && right.comparesAsNumber() {
		return boolean(ordered(e.op, left.float(), right.float()))
	}
	return boolean(ordered(e.op, m.text(left), m.text(right)))
}

func ordered[T float64 | string](op kind, left, right T) bool {
	switch op {
	case "<":
		return left < right
	case "<=":
		return left <= right
	case ">":
		return left > right
	case ">=":
		return left >= right
	case "!=":
		return left != right
	}
	return left == right
}

// matching is ~, or !~ when negated.
type matching struct {
	negated     bool
	left, right expr
}

func (e *matching) eval(m *machine) value {
	s := m.text(e.left.eval(m))
	return boolean(m.pattern(e.right).MatchString(s) != e.negated)
}

// logical is && or ||.
type logical struct {
	or          bool
	left, right expr
}

func (e *logical) eval(m *machine) value {
	if e.left.eval(m).isTrue() == e.or {
		return boolean(e.or)
	}
	return boolean(e.right.eval(m).isTrue())
}

type conditional struct{ condition, yes, no expr }

func (e *conditional) eval(m *machine) value {
	if e.condition.eval(m).isTrue() {
		return e.yes.eval(m)
	}
	return e.no.eval(m)
}

// membership asks whether an array has an element.
type membership struct {
	subscripts []expr
	array      *variable
}

func (e *membership) eval(m *machine) value {
	key := m.key(e.subscripts)
	_, ok := m.array(e.array)[key]
	return boolean(ok)
}
