package mysqld

import (
	"cmp"
	"context"
	"strconv"

	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/sqltypes"
	ast "github.com/dolthub/vitess/go/vt/sqlparser"
)

// operator is how a condition compares its column with its constants.
type operator int

const (
	equal operator = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
	between
	oneOf
)

// place is where a condition's constant is among those of the shape.
type place struct {
	index    int
	negative bool
}

// condition is one that all rows of an answer meet. Column and constants are of types that the SQL engine compares without a conversion that
// could change the outcome: texts of the standard collation, or DOUBLE.
type condition struct {
	column   int
	typ      gmssql.Type
	text     bool
	operator operator
	places   []place
}

// holds says whether a row meets the condition. NULL never does.
func (c *condition) holds(ctx context.Context, row gmssql.Row, constants []any) (bool, error) {
	v := row[c.column]
	if v == nil {
		return false, nil
	}
	if c.operator == oneOf {
		for _, p := range c.places {
			if n, err := c.compare(ctx, v, constants[p.index]); err != nil || n == 0 {
				return err == nil, err
			}
		}
		return false, nil
	}
	n, err := c.compare(ctx, v, constants[c.places[0].index])
	if err != nil {
		return false, err
	}
	switch c.operator {
	case less:
		return n < 0, nil
	case lessOrEqual:
		return n <= 0, nil
	case greater:
		return n > 0, nil
	case greaterOrEqual:
		return n >= 0, nil
	case between:
		if n < 0 {
			return false, nil
		}
		n, err = c.compare(ctx, v, constants[c.places[1].index])
		return err == nil && n <= 0, err
	default:
		return n == 0, nil
	}
}

func (c *condition) compare(ctx context.Context, v, constant any) (int, error) {
	if a, ok := v.(float64); ok {
		if b, ok := constant.(float64); ok {
			return cmp.Compare(a, b), nil
		}
	}
	return c.typ.Compare(ctx, v, constant)
}

// values returns the values of the constants that conditions compare with; false when one is no number after all.
func values(conditions []condition, constants []constant) ([]any, bool) {
	out := make([]any, len(constants))
	for i := range conditions {
		for _, p := range conditions[i].places {
			if !constants[p.index].number {
				out[p.index] = constants[p.index].text
				continue
			}
			v, err := strconv.ParseFloat(constants[p.index].text, 64)
			if err != nil {
				return nil, false
			}
			if p.negative {
				v = -v
			}
			out[p.index] = v
		}
	}
	return out, true
}

// matcher makes conditions of a WHERE clause that is a conjunction of comparisons of columns with constants. It meets the constants in the order in
// which they are written.
type matcher struct {
	columns    gmssql.Schema
	constants  []constant
	next       int
	conditions []condition
}

// match adds the conditions of an expression; false when there is more to it.
func (m *matcher) match(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return m.match(e.Expr)
	case *ast.AndExpr:
		return m.match(e.Left) && m.match(e.Right)
	case *ast.RangeCond:
		return e.Operator == ast.BetweenStr && m.add(between, e.Left, e.From, e.To)
	case *ast.ComparisonExpr:
		return e.Escape == nil && m.comparison(e)
	}
	return false
}

func (m *matcher) comparison(e *ast.ComparisonExpr) bool {
	switch e.Operator {
	case ast.EqualStr:
		return m.add(equal, e.Left, e.Right)
	case ast.LessThanStr:
		return m.add(less, e.Left, e.Right)
	case ast.LessEqualStr:
		return m.add(lessOrEqual, e.Left, e.Right)
	case ast.GreaterThanStr:
		return m.add(greater, e.Left, e.Right)
	case ast.GreaterEqualStr:
		return m.add(greaterOrEqual, e.Left, e.Right)
	case ast.InStr:
		list, ok := e.Right.(ast.ValTuple)
		return ok && len(list) > 0 && m.add(oneOf, e.Left, list...)
	}
	return false
}

func (m *matcher) add(o operator, column ast.Expr, constants ...ast.Expr) bool {
	name, ok := column.(*ast.ColName)
	if !ok || !name.Qualifier.IsEmpty() {
		return false
	}
	i := m.columns.IndexOfColName(name.Name.String())
	if i < 0 {
		return false
	}
	c := condition{column: i, typ: m.columns[i].Type, operator: o}
	number := false
	switch {
	case standardText(c.typ):
		c.text = true
	case c.typ.Type() == sqltypes.Float64 && o != oneOf:
		number = true
	default:
		return false
	}
	for _, e := range constants {
		p, ok := m.constant(e, number)
		if !ok {
			return false
		}
		c.places = append(c.places, p)
	}
	m.conditions = append(m.conditions, c)
	return true
}

// constant finds the constant that an expression is.
func (m *matcher) constant(e ast.Expr, number bool) (place, bool) {
	p := place{index: m.next}
	if minus, ok := e.(*ast.UnaryExpr); ok && number && minus.Operator == ast.UMinusStr {
		p.negative, e = true, minus.Expr
	}
	v, ok := e.(*ast.SQLVal)
	if !ok || m.next == len(m.constants) {
		return p, false
	}
	want := m.constants[m.next]
	m.next++
	kind := ast.StrVal
	if number {
		kind = ast.FloatVal
	}
	return p, v.Type == kind && want.number == number && want.text == string(v.Val)
}

// standardText says whether a column holds texts that are compared as a text constant is.
func standardText(t gmssql.Type) bool {
	text, ok := t.(gmssql.StringType)
	return ok && (text.Type() == sqltypes.VarChar || text.Type() == sqltypes.Char) && text.Collation() == gmssql.Collation_Default
}
