package awk

// block reads statements in braces.
func (p *parser) block() block {
	p.expect("{")
	list := block{}
	for p.skipTerminators(); !p.at("}"); p.skipTerminators() {
		list = append(list, p.statement())
	}
	p.advance()
	return list
}

// body reads the one statement, or the block, that belongs to if, else or a loop.
func (p *parser) body() block {
	p.skipNewlines()
	if p.at("{") {
		return p.block()
	}
	return block{p.statement()}
}

// loopBody reads a body in which break and continue mean something.
func (p *parser) loopBody() block {
	p.loops++
	defer func() { p.loops-- }()
	return p.body()
}

// statement reads a statement with what ends it.
func (p *parser) statement() line {
	defer p.enter()()
	l := line{number: p.tok.line}
	switch {
	case p.at("{"):
		l.statement = p.block()
	case p.accept(";"):
		l.statement = block{}
	case p.accept("if"):
		l.statement = p.ifStatement()
	case p.accept("while"):
		s := &loop{condition: p.condition()}
		if !p.accept(";") {
			s.body = p.loopBody()
		}
		l.statement = s
	case p.accept("do"):
		s := &loop{once: true, body: p.loopBody()}
		p.skipTerminators()
		p.expect("while")
		s.condition = p.condition()
		p.terminator()
		l.statement = s
	case p.accept("for"):
		l.statement = p.forStatement()
	default:
		l.statement = p.simple()
		p.terminator()
	}
	return l
}

// terminator reads the end of a simple statement; a closing brace is left where it is.
func (p *parser) terminator() {
	switch {
	case p.at(";", tokNewline):
		p.advance()
	case !p.at("}", tokEnd):
		p.unexpected()
	}
}

// condition reads an expression in parentheses.
func (p *parser) condition() expr {
	p.expect("(")
	e := p.expr()
	p.expect(")")
	return e
}

func (p *parser) ifStatement() statement {
	s := &ifStatement{condition: p.condition(), yes: p.body()}
	here := p.mark()
	p.skipTerminators()
	if p.accept("else") {
		s.no = p.body()
	} else {
		p.back(here)
	}
	return s
}

func (p *parser) forStatement() statement {
	p.expect("(")
	if s := p.forIn(); s != nil {
		return s
	}
	s := &loop{}
	if !p.at(";") {
		s.before = p.simple()
	}
	p.expect(";")
	p.skipNewlines()
	if !p.at(";") {
		s.condition = p.expr()
	}
	p.expect(";")
	p.skipNewlines()
	if !p.at(")") {
		s.after = p.simple()
	}
	p.expect(")")
	s.body = p.loopBody()
	return s
}

// forIn reads a loop through an array. It returns nil, and has read nothing, if the loop is of the other kind.
func (p *parser) forIn() statement {
	here := p.mark()
	name := p.tok.text
	if p.accept(tokName) && p.accept("in") {
		array := p.tok.text
		if p.accept(tokName) && p.at(")") {
			p.back(here)
			s := &forIn{key: p.variable(name), array: p.variable(array)}
			if s.array.special() {
				p.fail("%s is not an array", array)
			}
			for !p.accept(")") {
				p.advance()
			}
			s.body = p.loopBody()
			return s
		}
	}
	p.back(here)
	return nil
}

// simple reads a statement without what ends it.
func (p *parser) simple() statement {
	switch {
	case p.at("print", "printf"):
		return p.print()
	case p.accept("delete"):
		s := &deletion{array: p.arrayName()}
		if p.accept("[") {
			s.subscripts = p.list()
			p.expect("]")
		}
		return s
	case p.at("break", "continue"):
		if p.loops == 0 {
			p.fail("%s outside of a loop", p.tok)
		}
		to := breaks
		if p.at("continue") {
			to = continues
		}
		p.advance()
		return &jump{to}
	case p.at("next", "nextfile"):
		if p.once {
			p.fail("%s in BEGIN or END", p.tok)
		}
		to := nextRecord
		if p.at("nextfile") {
			to = nextFile
		}
		p.advance()
		return &jump{to}
	case p.accept("exit"):
		return &exitStatement{code: p.optional()}
	case p.at("return"):
		if p.params == nil {
			p.fail("return outside of a function")
		}
		p.advance()
		return &returnStatement{result: p.optional()}
	}
	return &evaluation{p.expr()}
}

// optional reads an expression, if there is one before the end of the statement.
func (p *parser) optional() expr {
	if p.at(";", tokNewline, "}", tokEnd) {
		return nil
	}
	return p.expr()
}

// print reads print or printf with where it prints to.
func (p *parser) print() statement {
	s := &printing{formatted: p.at("printf")}
	p.advance()
	s.args = p.printed()
	if s.formatted && len(s.args) == 0 {
		p.fail("printf: no format")
	}
	if p.at(toFile, toFileEnd, toCommand) {
		s.to = p.tok.kind
		p.advance()
		s.name = p.concatenation()
	}
	return s
}

// printed reads what is printed, whether or not all of it is in parentheses.
func (p *parser) printed() []expr {
	if p.endsPrint() {
		return nil
	}
	here := p.mark()
	if p.accept("(") {
		list := p.list()
		p.expect(")")
		if p.endsPrint() {
			return list
		}
		p.back(here)
	}
	p.printing = true
	defer func() { p.printing = false }()
	return p.commaList()
}

func (p *parser) endsPrint() bool {
	return p.at(";", tokNewline, "}", tokEnd, toFile, toFileEnd, toCommand)
}
