package awk

import (
	"maps"
	"slices"
	"strings"
)

// The special variables have the first slots.
const (
	slotARGC = iota
	slotARGV
	slotCONVFMT
	slotENVIRON
	slotFILENAME
	slotFNR
	slotFS
	slotNF
	slotNR
	slotOFMT
	slotOFS
	slotORS
	slotRLENGTH
	slotRS
	slotRSTART
	slotSUBSEP
)

var specialNames = []string{
	"ARGC", "ARGV", "CONVFMT", "ENVIRON", "FILENAME", "FNR", "FS", "NF", "NR", "OFMT", "OFS", "ORS", "RLENGTH", "RS", "RSTART", "SUBSEP",
}

// array is what is in an array by its subscripts.
type array map[string]value

// keys are the subscripts: whole numbers in their order, then the others in theirs.
func (a array) keys() []string {
	return slices.SortedFunc(maps.Keys(a), func(x, y string) int {
		nx, xIsNumber := wholeNumber(x)
		ny, yIsNumber := wholeNumber(y)
		switch {
		case xIsNumber && yIsNumber:
			return nx - ny
		case xIsNumber:
			return -1
		case yIsNumber:
			return 1
		}
		return strings.Compare(x, y)
	})
}

// wholeNumber is the number whose decimal digits, up to nine, s is.
func wholeNumber(s string) (n int, ok bool) {
	if s == "" || len(s) > 9 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// cell holds a variable: a value, or an array.
type cell struct {
	value value
	array array
	// lent is the variable of the caller that an argument is. While neither was used, making one an array makes the other the same.
	lent *cell
}

// table is the array in the cell, which becomes one when it was not used yet; nil when it holds a value.
func (c *cell) table() array {
	switch {
	case c.array != nil:
	case !c.value.is(unset):
		return nil
	case c.lent != nil:
		c.array = c.lent.table()
	default:
		c.array = array{}
	}
	return c.array
}

// target is what can be assigned to.
type target interface {
	expr
	// place finds out where it is; its subscripts are evaluated once, however often the place is used.
	place(m *machine) place
}

type placeKind uint8

const (
	inCell placeKind = iota
	inSpecial
	inArray
	inField
)

type place struct {
	kind  placeKind
	cell  *cell
	array array
	key   string
	// index is the slot of a special variable, or the number of a field.
	index int
}

func (p *place) load(m *machine) value {
	switch p.kind {
	case inSpecial:
		return m.special(p.index)
	case inArray:
		return p.array[p.key]
	case inField:
		return m.field(p.index)
	case inCell:
	}
	return p.cell.value
}

func (p *place) store(m *machine, v value) {
	switch p.kind {
	case inSpecial:
		m.setSpecial(p.index, v)
	case inArray:
		p.array[p.key] = v
	case inField:
		m.setField(p.index, v)
	case inCell:
		p.cell.value = v
	}
}

// variable is a variable by its name: a global one, or one of the function that it stands in.
type variable struct {
	name  string
	local bool
	slot  int
}

// special says whether reading or setting the variable is more than that.
func (v *variable) special() bool {
	return !v.local && v.slot < len(specialNames) && v.slot != slotARGV && v.slot != slotENVIRON
}

func (v *variable) eval(m *machine) value {
	p := v.place(m)
	return p.load(m)
}

func (v *variable) place(m *machine) place {
	if v.special() {
		return place{kind: inSpecial, index: v.slot}
	}
	c := m.cell(v)
	if c.array != nil {
		m.fail("%s is an array", v.name)
	}
	return place{kind: inCell, cell: c}
}

func (m *machine) cell(v *variable) *cell {
	if v.local {
		return m.frame[v.slot]
	}
	return &m.globals[v.slot]
}

// array is the array that a variable is, or becomes.
func (m *machine) array(v *variable) array {
	a := m.cell(v).table()
	if a == nil {
		m.fail("%s is not an array", v.name)
	}
	return a
}

// element is one of an array. To look at one makes it, as the language has it.
type element struct {
	array      *variable
	subscripts []expr
}

func (e *element) eval(m *machine) value {
	p := e.place(m)
	v, ok := p.array[p.key]
	if !ok {
		p.array[p.key] = v
	}
	return v
}

func (e *element) place(m *machine) place {
	key := m.key(e.subscripts)
	return place{kind: inArray, array: m.array(e.array), key: key}
}

// key is the subscript that several make together.
func (m *machine) key(subscripts []expr) string {
	if len(subscripts) == 1 {
		return m.text(subscripts[0].eval(m))
	}
	parts := make([]string, len(subscripts))
	for i, e := range subscripts {
		parts[i] = m.text(e.eval(m))
	}
	return strings.Join(parts, m.subsep)
}

// assignment is = when it has no op, and otherwise += and the like.
type assignment struct {
	target target
	op     kind
	right  expr
}

func (e *assignment) eval(m *machine) value {
	p := e.target.place(m)
	v := e.right.eval(m)
	if e.op != "" {
		v = number(m.calculate(e.op, p.load(m).float(), v.float()))
	}
	p.store(m, v)
	return v
}

// increment is ++ or --, before what it changes or behind it.
type increment struct {
	target target
	by     float64
	behind bool
}

func (e *increment) eval(m *machine) value {
	p := e.target.place(m)
	before := p.load(m).float()
	after := number(before + e.by)
	p.store(m, after)
	if e.behind {
		return number(before)
	}
	return after
}
