package engine

import (
	"context"

	"github.com/dolthub/go-mysql-server/sql"
)

// degree is the fan-out of the trees.
const degree = 32

// item is an entry of a tree: a whole row, ordered by the columns of the tree's index and then by what makes it unique. As a
// search key it may have values for the first columns only; it is then before (or, with high, after) all rows that begin so.
type item struct {
	row  sql.Row
	id   uint64
	keys []any
	high bool
}

// order compares items by columns.
type order struct {
	ordinals []int
	types    []sql.Type
	prefixes []uint16
	// width is the number of leading columns that belong to the index itself; the rest makes entries unique.
	width int
	// byID adds the row id: for tables without a primary key.
	byID bool
}

func (o *order) value(it *item, i int) any {
	v := it.row[o.ordinals[i]]
	if i < len(o.prefixes) && o.prefixes[i] > 0 {
		v = cut(v, int(o.prefixes[i]))
	}
	return v
}

func (o *order) keyOf(it *item, i int) any {
	if it.row == nil {
		return it.keys[i]
	}
	return o.value(it, i)
}

func (o *order) less(a, b item) bool {
	n := len(o.ordinals)
	if a.row == nil {
		n = min(n, len(a.keys))
	}
	if b.row == nil {
		n = min(n, len(b.keys))
	}
	for i := range n {
		if c := compare(o.types[i], o.keyOf(&a, i), o.keyOf(&b, i)); c != 0 {
			return c < 0
		}
	}
	switch {
	case a.row == nil && b.row == nil:
		return false
	case a.row == nil:
		return !a.high
	case b.row == nil:
		return b.high
	}
	return o.byID && a.id < b.id
}

// cut shortens a text to the length of an index prefix, in characters for strings and bytes for binaries.
func cut(v any, n int) any {
	switch v := v.(type) {
	case string:
		if len(v) <= n {
			return v
		}
		if runes := []rune(v); len(runes) > n {
			return string(runes[:n])
		}
	case []byte:
		if len(v) > n {
			return v[:n]
		}
	}
	return v
}

// compare orders two values of a column; NULL is first. Values that their own type cannot compare count as equal: they
// were converted to the type before they came here.
func compare(t sql.Type, a, b any) int {
	if a == nil || b == nil {
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return -1
		}
		return 1
	}
	c, err := t.Compare(context.Background(), a, b)
	if err != nil {
		return 0
	}
	return c
}
