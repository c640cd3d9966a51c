package awk

import (
	"maps"
	"slices"
)

// maxNesting bounds how deep expressions and statements are nested.
const maxNesting = 500

// parser reads a program by recursive descent. Its errors are panics with a *SyntaxError, which Parse turns into errors.
type parser struct {
	lexer lexer
	tok   token

	result    *Program
	functions map[string]*function
	calls     []*call
	// params are the slots of the parameters of the function that is being read; nil outside of functions.
	params map[string]int
	// loops counts the loops around the statement that is being read.
	loops int
	// once is set in BEGIN and END, where there is no record to leave.
	once bool
	// printing is set in what print prints, where > and | are no operators.
	printing bool
	depth    int
}

func newParser(source string) *parser {
	p := &parser{
		lexer: lexer{src: source, line: 1}, functions: map[string]*function{},
		result: &Program{names: slices.Clone(specialNames), slots: map[string]int{}},
	}
	for slot, name := range specialNames {
		p.result.slots[name] = slot
	}
	p.advance()
	return p
}

func (p *parser) advance() { p.tok = p.lexer.next() }

// fail ends Parse at the token.
func (p *parser) fail(format string, args ...any) {
	p.lexer.line = p.tok.line
	p.lexer.fail(format, args...)
}

func (p *parser) unexpected() { p.fail("unexpected %s", p.tok) }

func (p *parser) at(kinds ...kind) bool { return slices.Contains(kinds, p.tok.kind) }

// accept goes past the token if it is of kind k.
func (p *parser) accept(k kind) bool {
	if p.tok.kind != k {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(k kind) {
	if !p.accept(k) {
		p.fail("unexpected %s: want %s", p.tok, token{kind: k})
	}
}

func (p *parser) skipNewlines() {
	for p.at(tokNewline) {
		p.advance()
	}
}

// skipTerminators skips what may stand between two statements.
func (p *parser) skipTerminators() {
	for p.at(tokNewline, ";") {
		p.advance()
	}
}

// enter counts how deep the reading is nested; the function that it returns leaves again.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// mark is a place in the source to go back to.
type mark struct {
	lexer lexer
	tok   token
}

func (p *parser) mark() mark { return mark{p.lexer, p.tok} }

func (p *parser) back(to mark) { p.lexer, p.tok = to.lexer, to.tok }

// program reads all of it.
func (p *parser) program() {
	p.skipTerminators()
	for !p.at(tokEnd) {
		p.item()
		p.skipTerminators()
	}
	p.resolve()
}

// item reads a function, or a pattern with its action.
func (p *parser) item() {
	switch {
	case p.accept("function"):
		p.function()
	case p.accept("BEGIN"):
		p.result.begin = append(p.result.begin, p.onceBlock())
	case p.accept("END"):
		p.result.end = append(p.result.end, p.onceBlock())
	default:
		p.result.rules = append(p.result.rules, p.rule())
	}
}

func (p *parser) onceBlock() block {
	p.once = true
	defer func() { p.once = false }()
	return p.block()
}

func (p *parser) rule() *rule {
	r := &rule{line: p.tok.line}
	if !p.at("{") {
		r.pattern = p.expr()
		if p.accept(",") {
			p.skipNewlines()
			r.last = p.expr()
		}
	}
	switch {
	case p.at("{"):
		r.action = p.block()
	case p.at(tokNewline, ";", tokEnd):
		r.action = block{{number: r.line, statement: &printing{}}}
	default:
		p.unexpected()
	}
	return r
}

func (p *parser) function() {
	f := &function{name: p.tok.text}
	if !p.at(tokName, tokCall) {
		p.unexpected()
	}
	if p.functions[f.name] != nil {
		p.fail("function %s is defined twice", f.name)
	}
	p.functions[f.name] = f
	p.advance()
	p.expect("(")
	p.params = map[string]int{}
	for !p.at(")") {
		if len(f.params) > 0 {
			p.expect(",")
			p.skipNewlines()
		}
		name := p.tok.text
		if _, twice := p.params[name]; twice || slices.Contains(specialNames, name) {
			p.fail("%s cannot be a parameter here", name)
		}
		p.expect(tokName)
		p.params[name] = len(f.params)
		f.params = append(f.params, name)
	}
	p.advance()
	p.skipNewlines()
	f.body = p.block()
	p.params = nil
}

// resolve finds the functions that are called, which may stand behind their calls.
func (p *parser) resolve() {
	for _, c := range p.calls {
		f := p.functions[c.name]
		switch {
		case f == nil:
			panic(&SyntaxError{Line: c.line, Message: "there is no function " + c.name})
		case len(c.args) > len(f.params):
			panic(&SyntaxError{Line: c.line, Message: "too many arguments for the function " + c.name})
		}
		c.function = f
	}
	for _, name := range slices.Sorted(maps.Keys(p.functions)) {
		if _, ok := p.result.slots[name]; ok {
			panic(&SyntaxError{Line: 1, Message: name + " is both a function and a variable"})
		}
	}
}

// variable is the variable of a name, in the function that is being read or in the program.
func (p *parser) variable(name string) *variable {
	if slot, ok := p.params[name]; ok {
		return &variable{name: name, local: true, slot: slot}
	}
	slot, ok := p.result.slots[name]
	if !ok {
		slot = len(p.result.names)
		p.result.slots[name] = slot
		p.result.names = append(p.result.names, name)
	}
	return &variable{name: name, slot: slot}
}

// arrayName reads the name of an array.
func (p *parser) arrayName() *variable {
	if !p.at(tokName) {
		p.unexpected()
	}
	v := p.variable(p.tok.text)
	if v.special() {
		p.fail("%s is not an array", v.name)
	}
	p.advance()
	return v
}
