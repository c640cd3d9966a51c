package mysqld

import (
	"context"
	"slices"

	gmssql "github.com/dolthub/go-mysql-server/sql"

	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// access is how conditions lead to rows through the primary key. Conditions are given by their position among those of the read.
type access struct {
	// keys are conditions on the leading columns of the key, each equal or, for one of them, oneOf. Rows that are found meet them.
	keys []int
	// lower and upper are the constants that bound the column behind those, or -1. They may let in more rows than there should be.
	lower, upper int
	// rest are the conditions that are still to be asked of the rows.
	rest []int
}

// accessBy finds the access that conditions give.
func accessBy(key gmssql.PrimaryKeySchema, conditions []condition) access {
	a := access{lower: -1, upper: -1}
	lists := 0
	for _, column := range key.PkOrdinals {
		i := slices.IndexFunc(conditions, func(c condition) bool {
			return c.column == column && c.text && (c.operator == equal || c.operator == oneOf && lists == 0)
		})
		if i < 0 {
			a.bound(column, conditions)
			break
		}
		if conditions[i].operator == oneOf {
			lists++
		}
		a.keys = append(a.keys, i)
	}
	for i := range conditions {
		if !slices.Contains(a.keys, i) {
			a.rest = append(a.rest, i)
		}
	}
	return a
}

// bound takes the bounds of a column from conditions.
func (a *access) bound(column int, conditions []condition) {
	for _, c := range conditions {
		if c.column != column || !c.text {
			continue
		}
		switch c.operator {
		case greater, greaterOrEqual:
			a.lower = c.places[0].index
		case less, lessOrEqual:
			a.upper = c.places[0].index
		case between:
			a.lower, a.upper = c.places[0].index, c.places[1].index
		}
	}
}

// keyed says that not all rows have to be looked at.
func (a *access) keyed() bool { return len(a.keys) > 0 || a.lower >= 0 || a.upper >= 0 }

// rows returns the rows that the key leads to, in its order.
func (a *access) rows(ctx context.Context, view engine.View, conditions []condition, constants []any) []gmssql.Row {
	prefixes := [][]any{nil}
	for _, i := range a.keys {
		var longer [][]any
		list := conditions[i].sorted(ctx, constants)
		for _, prefix := range prefixes {
			for _, v := range list {
				longer = append(longer, append(slices.Clip(prefix), v))
			}
		}
		prefixes = longer
	}
	var from, until any
	if a.lower >= 0 {
		from = constants[a.lower]
	}
	if a.upper >= 0 {
		until = constants[a.upper]
	}
	var rows []gmssql.Row
	for _, prefix := range prefixes {
		rows = append(rows, view.Find(prefix, from, until)...)
	}
	return rows
}

// sorted returns the constants of a condition in the order of its column, each once.
func (c *condition) sorted(ctx context.Context, constants []any) []any {
	list := make([]any, len(c.places))
	for i, p := range c.places {
		list[i] = constants[p.index]
	}
	order := func(a, b any) int {
		// Two texts are always comparable.
		n, _ := c.typ.Compare(ctx, a, b)
		return n
	}
	slices.SortFunc(list, order)
	return slices.CompactFunc(list, func(a, b any) bool { return order(a, b) == 0 })
}
