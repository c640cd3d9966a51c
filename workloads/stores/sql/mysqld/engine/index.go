package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/google/btree"
)

// primary is the name of the primary key's index.
const primary = "PRIMARY"

// indexHandle is an index to the SQL engine.
type indexHandle struct {
	db, table, name, comment string
	columns                  []string
	types                    []sql.Type
	lengths                  []uint16
	unique                   bool
}

var _ sql.Index = (*indexHandle)(nil)

// ID implements sql.Index.
func (i *indexHandle) ID() string { return i.name }

// Database implements sql.Index.
func (i *indexHandle) Database() string { return i.db }

// Table implements sql.Index.
func (i *indexHandle) Table() string { return i.table }

// Expressions implements sql.Index.
func (i *indexHandle) Expressions() []string {
	out := make([]string, len(i.columns))
	for n, c := range i.columns {
		out[n] = i.table + "." + c
	}
	return out
}

// IsUnique implements sql.Index.
func (i *indexHandle) IsUnique() bool { return i.unique }

// IsSpatial implements sql.Index.
func (i *indexHandle) IsSpatial() bool { return false }

// IsFullText implements sql.Index.
func (i *indexHandle) IsFullText() bool { return false }

// IsVector implements sql.Index.
func (i *indexHandle) IsVector() bool { return false }

// Comment implements sql.Index.
func (i *indexHandle) Comment() string { return i.comment }

// IndexType implements sql.Index.
func (i *indexHandle) IndexType() string { return "BTREE" }

// IsGenerated implements sql.Index.
func (i *indexHandle) IsGenerated() bool { return false }

// ColumnExpressionTypes implements sql.Index.
func (i *indexHandle) ColumnExpressionTypes() []sql.ColumnExpressionType {
	out := make([]sql.ColumnExpressionType, len(i.columns))
	for n, e := range i.Expressions() {
		out[n] = sql.ColumnExpressionType{Expression: e, Type: i.types[n]}
	}
	return out
}

// CanSupport implements sql.Index. A prefix of a text does not order the text.
func (i *indexHandle) CanSupport(*sql.Context, ...sql.Range) bool { return len(i.lengths) == 0 }

// CanSupportOrderBy implements sql.Index.
func (i *indexHandle) CanSupportOrderBy(sql.Expression) bool { return false }

// PrefixLengths implements sql.Index.
func (i *indexHandle) PrefixLengths() []uint16 { return i.lengths }

// GetIndexes implements sql.IndexAddressable.
func (h *handle) GetIndexes(ctx *sql.Context) ([]sql.Index, error) {
	t := h.data(ctx)
	var out []sql.Index
	if len(t.schema.PkOrdinals) > 0 {
		p := &indexHandle{db: t.db, table: t.name, name: primary, unique: true}
		for _, o := range t.schema.PkOrdinals {
			p.columns = append(p.columns, t.schema.Schema[o].Name)
			p.types = append(p.types, t.schema.Schema[o].Type)
		}
		out = append(out, p)
	}
	for _, ix := range t.indexes {
		out = append(out, &indexHandle{
			db: t.db, table: t.name, name: ix.name, comment: ix.comment, columns: ix.columns, types: ix.order.types[:ix.order.width],
			lengths: ix.lengths, unique: ix.unique,
		})
	}
	return out, nil
}

// PreciseMatch implements sql.IndexAddressable: the engine checks its filters again.
func (h *handle) PreciseMatch() bool { return false }

// IndexedAccess implements sql.IndexAddressable.
func (h *handle) IndexedAccess(_ *sql.Context, lookup sql.IndexLookup) sql.IndexedTable {
	return &handle{store: h.store, def: h.def, lookup: &lookup}
}

// LookupPartitions implements sql.IndexedTable.
func (h *handle) LookupPartitions(_ *sql.Context, lookup sql.IndexLookup) (sql.PartitionIter, error) {
	return sql.PartitionsToPartitionIter(whole{&lookup}), nil
}

// search returns the rows of a lookup in the order of its index.
func (t *table) search(ctx *sql.Context, lookup sql.IndexLookup) ([]sql.Row, error) {
	tree, o := t.rows, t.order
	if name := lookup.Index.ID(); !strings.EqualFold(name, primary) {
		i := t.index(name)
		if i < 0 {
			return nil, sql.ErrIndexNotFound.New(name)
		}
		tree, o = t.indexes[i].tree, t.indexes[i].order
	}
	ranges, ok := lookup.Ranges.(sql.MySQLRangeCollection)
	if !ok {
		return nil, fmt.Errorf("search index: unknown range")
	}
	var rows []sql.Row
	for _, r := range ranges {
		found, err := scan(ctx, tree, o, r)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	if lookup.IsReverse {
		slices.Reverse(rows)
	}
	return rows, nil
}

// scan returns the rows in one range: it begins at the lower bounds of the leading columns, ends behind their upper bounds,
// and checks every column on the way.
func scan(ctx *sql.Context, tree *btree.BTreeG[item], o *order, r sql.MySQLRange) ([]sql.Row, error) {
	r = r[:min(len(r), o.width)]
	from, to := item{keys: []any{}}, item{keys: []any{}, high: true}
	for i, column := range r {
		lower, isPoint := point(column, o.types[i])
		if isPoint {
			from.keys, to.keys = append(from.keys, lower), append(to.keys, lower)
			continue
		}
		switch b := column.LowerBound.(type) {
		case sql.Below:
			from.keys = append(from.keys, b.Key)
		case sql.Above:
			from.keys, from.high = append(from.keys, b.Key), true
		}
		switch b := column.UpperBound.(type) {
		case sql.Below:
			to.keys, to.high = append(to.keys, b.Key), false
		case sql.Above:
			to.keys = append(to.keys, b.Key)
		case sql.AboveNull:
			to.keys = append(to.keys, nil)
		}
		break
	}
	var rows []sql.Row
	var err error
	tree.AscendRange(from, to, func(it item) bool {
		var in bool
		if in, err = within(ctx, o, r, &it); err != nil {
			return false
		}
		if in {
			rows = append(rows, it.row)
		}
		return true
	})
	return rows, err
}

// point returns the only value of a column's range, if there is just one.
func point(column sql.MySQLRangeColumnExpr, t sql.Type) (any, bool) {
	lower, ok := column.LowerBound.(sql.Below)
	if !ok {
		return nil, false
	}
	upper, ok := column.UpperBound.(sql.Above)
	if !ok || compare(t, lower.Key, upper.Key) != 0 {
		return nil, false
	}
	return lower.Key, true
}

// within says whether a row is in the range of every column.
func within(ctx *sql.Context, o *order, r sql.MySQLRange, it *item) (bool, error) {
	for i, column := range r {
		v := o.value(it, i)
		above, err := beyond(ctx, column.LowerBound, o.types[i], v)
		if err != nil || !above {
			return false, err
		}
		above, err = beyond(ctx, column.UpperBound, o.types[i], v)
		if err != nil || above {
			return false, err
		}
	}
	return true, nil
}

// beyond says whether a value is on the upper side of a cut. NULL is below everything.
func beyond(ctx *sql.Context, c sql.MySQLRangeCut, t sql.Type, v any) (bool, error) {
	switch c := c.(type) {
	case sql.BelowNull:
		return true, nil
	case sql.AboveNull:
		return v != nil, nil
	case sql.AboveAll:
		return false, nil
	case sql.Below:
		if v == nil {
			return false, nil
		}
		n, err := t.Compare(ctx, v, c.Key)
		return n >= 0, err
	case sql.Above:
		if v == nil {
			return false, nil
		}
		n, err := t.Compare(ctx, v, c.Key)
		return n > 0, err
	}
	return false, fmt.Errorf("search index: unknown range")
}
