package awk

import "strconv"

// list reads expressions with commas between them, in parentheses or brackets that begin before it.
func (p *parser) list() []expr {
	printing := p.printing
	p.printing = false
	p.skipNewlines()
	list := p.commaList()
	p.skipNewlines()
	p.printing = printing
	return list
}

func (p *parser) commaList() []expr {
	list := []expr{p.expr()}
	for p.accept(",") {
		p.skipNewlines()
		list = append(list, p.expr())
	}
	return list
}

// expr reads an expression: the methods below it read the operators in the order of how weakly they bind.
func (p *parser) expr() expr {
	defer p.enter()()
	e := p.or()
	if !p.accept("?") {
		return e
	}
	p.skipNewlines()
	yes := p.expr()
	p.skipNewlines()
	p.expect(":")
	p.skipNewlines()
	return &conditional{condition: e, yes: yes, no: p.expr()}
}

func (p *parser) or() expr {
	e := p.and()
	for p.accept("||") {
		p.skipNewlines()
		e = &logical{or: true, left: e, right: p.and()}
	}
	return e
}

func (p *parser) and() expr {
	e := p.in()
	for p.accept("&&") {
		p.skipNewlines()
		e = &logical{left: e, right: p.in()}
	}
	return e
}

func (p *parser) in() expr {
	e := p.matching()
	for p.accept("in") {
		e = &membership{subscripts: []expr{e}, array: p.arrayName()}
	}
	return e
}

func (p *parser) matching() expr {
	e := p.comparison()
	for p.at("~", "!~") {
		negated := p.at("!~")
		p.advance()
		e = &matching{negated: negated, left: e, right: p.comparison()}
	}
	return e
}

func (p *parser) comparison() expr {
	e := p.pipe()
	for p.at("<", "<=", "==", "!=", ">=") || (p.at(">") && !p.printing) {
		op := p.tok.kind
		p.advance()
		e = &comparison{op: op, left: e, right: p.pipe()}
	}
	return e
}

// pipe reads a command whose output is read by getline.
func (p *parser) pipe() expr {
	e := p.concatenation()
	for p.at("|") && !p.printing {
		p.advance()
		if !p.at("getline") {
			p.unexpected()
		}
		e = p.getline(e)
	}
	return e
}

func (p *parser) concatenation() expr {
	e := p.additive()
	parts := []expr{e}
	for p.at(tokNumber, tokString, tokName, tokCall, tokBuiltin, "$", "!", "(", "++", "--") {
		parts = append(parts, p.additive())
	}
	if len(parts) == 1 {
		return e
	}
	return &concatenation{parts}
}

func (p *parser) additive() expr {
	e := p.multiplicative()
	for p.at("+", "-") {
		op := p.tok.kind
		p.advance()
		e = &arithmetic{op: op, left: e, right: p.multiplicative()}
	}
	return e
}

func (p *parser) multiplicative() expr {
	e := p.unary()
	for p.at("*", "/", "%") {
		op := p.tok.kind
		p.advance()
		e = &arithmetic{op: op, left: e, right: p.unary()}
	}
	return e
}

func (p *parser) unary() expr {
	if !p.at("-", "+", "!") {
		return p.power()
	}
	defer p.enter()()
	op := p.tok.kind
	p.advance()
	return &unary{op: op, operand: p.unary()}
}

func (p *parser) power() expr {
	e := p.assignable()
	if !p.accept("^") {
		return e
	}
	// The exponent may have a sign, and another power on its right.
	return &arithmetic{op: "^", left: e, right: p.unary()}
}

// assignments are the operators that assign, by what they do before it.
var assignments = map[kind]kind{"=": "", "+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "^=": "^"}

// assignable reads an operand and, if it can be assigned to, what assigns to it. Since an operand is not on the left of an assignment in any
// other way, a && b = c means a && (b = c).
func (p *parser) assignable() expr {
	e := p.operand()
	t, ok := e.(target)
	if !ok {
		return e
	}
	if p.at("++", "--") {
		return &increment{target: t, by: p.step(), behind: true}
	}
	if op, ok := assignments[p.tok.kind]; ok {
		p.advance()
		p.skipNewlines()
		return &assignment{target: t, op: op, right: p.expr()}
	}
	return e
}

// step reads ++ or --.
func (p *parser) step() float64 {
	by := 1.0
	if p.at("--") {
		by = -1
	}
	p.advance()
	return by
}

func (p *parser) operand() expr {
	switch {
	case p.at(tokNumber):
		n, _ := strconv.ParseFloat(p.tok.text, 64) // What is too large is infinite.
		p.advance()
		return &literal{number(n)}
	case p.at(tokString):
		e := &literal{text(p.tok.text)}
		p.advance()
		return e
	case p.at("/", "/="):
		return p.regex()
	case p.accept("$"):
		return &fieldExpr{index: p.fieldIndex()}
	case p.at("++", "--"):
		by := p.step()
		return &increment{target: p.target(), by: by}
	case p.accept("("):
		return p.group()
	case p.at("getline"):
		return p.getline(nil)
	case p.at(tokBuiltin):
		return p.builtinCall()
	case p.at(tokCall):
		return p.call()
	case p.at(tokName):
		return p.named()
	}
	p.unexpected()
	return nil
}

// target reads what is assigned to.
func (p *parser) target() target {
	t, ok := p.operand().(target)
	if !ok {
		p.fail("unexpected %s: want something that can be assigned to", p.tok)
	}
	return t
}

// named reads a variable, or an element of an array.
func (p *parser) named() expr {
	name := p.tok.text
	here := p.mark()
	p.advance()
	if !p.at("[") {
		return p.variable(name)
	}
	p.back(here)
	array := p.arrayName()
	p.advance()
	subscripts := p.list()
	p.expect("]")
	return &element{array: array, subscripts: subscripts}
}

// fieldIndex reads what stands behind $, which binds more strongly than any operator but ++ and -- before it.
func (p *parser) fieldIndex() expr {
	defer p.enter()()
	if p.at("-", "+", "!") {
		op := p.tok.kind
		p.advance()
		return &unary{op: op, operand: p.fieldIndex()}
	}
	return p.operand()
}

func (p *parser) regex() expr {
	begun := ""
	if p.at("/=") {
		begun = "="
	}
	re, err := compileRegex(p.lexer.regex(begun))
	if err != nil {
		p.fail("%v", err)
	}
	p.advance()
	return &regexLiteral{re}
}

// group reads what is in parentheses: an expression, or the subscripts of an element that may be in an array.
func (p *parser) group() expr {
	list := p.list()
	p.expect(")")
	if len(list) > 1 {
		p.expect("in")
		return &membership{subscripts: list, array: p.arrayName()}
	}
	if re, ok := list[0].(*regexLiteral); ok {
		return re
	}
	return &group{list[0]}
}

// getline reads getline; a command is what stands before it.
func (p *parser) getline(command expr) expr {
	p.expect("getline")
	e := &getline{command: command}
	if p.at("$", tokName) {
		e.target = p.target()
	}
	if command == nil && p.accept("<") {
		e.file = p.operand()
	}
	return e
}

// call reads the call of a function of the program.
func (p *parser) call() expr {
	c := &call{name: p.tok.text, line: p.tok.line}
	p.advance()
	c.args = p.arguments()
	p.calls = append(p.calls, c)
	return c
}

// arguments reads what is in the parentheses of a call.
func (p *parser) arguments() []expr {
	p.expect("(")
	p.skipNewlines()
	if p.accept(")") {
		return nil
	}
	list := p.list()
	p.expect(")")
	return list
}

// builtinCall reads the call of a function of the language.
func (p *parser) builtinCall() expr {
	name := p.tok.text
	b := builtins[name]
	p.advance()
	if b.bare && !p.at("(") {
		return &builtinCall{run: b.run}
	}
	args := p.arguments()
	if len(args) < b.atLeast || len(args) > b.atMost {
		p.fail("%s: %d arguments", name, len(args))
	}
	if b.array > 0 {
		v, ok := args[b.array].(*variable)
		if !ok || v.special() {
			p.fail("%s: argument %d is not an array", name, b.array+1)
		}
	}
	if b.target > 0 && len(args) > b.target {
		if _, ok := args[b.target].(target); !ok {
			p.fail("%s: argument %d cannot be assigned to", name, b.target+1)
		}
	}
	return &builtinCall{run: b.run, args: args}
}
