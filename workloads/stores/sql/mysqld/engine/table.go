package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/google/btree"
)

// index is a definition and its tree.
type index struct {
	name    string
	columns []string
	lengths []uint16
	unique  bool
	comment string
	order   *order
	tree    *btree.BTreeG[item]
}

// table is one version of a table, with its indexes. Versions that a root holds do not change.
type table struct {
	db, name      string
	comment       string
	collation     sql.CollationID
	schema        sql.PrimaryKeySchema
	autoIncrement uint64
	nextID        uint64
	checks        []sql.CheckDefinition
	order         *order
	rows          *btree.BTreeG[item]
	indexes       []*index
}

func newTable(db, name string, schema sql.PrimaryKeySchema, collation sql.CollationID, comment string) *table {
	t := &table{db: db, name: name, comment: comment, collation: collation, autoIncrement: 1, nextID: 1}
	t.setSchema(schema)
	return t
}

// setSchema sets the columns; the table is empty afterwards.
func (t *table) setSchema(schema sql.PrimaryKeySchema) {
	columns := schema.Copy()
	for _, c := range columns {
		c.Source, c.DatabaseSource = t.name, t.db
	}
	t.schema = sql.NewPrimaryKeySchema(columns, schema.PkOrdinals...)
	t.order = &order{ordinals: slices.Clone(schema.PkOrdinals), byID: len(schema.PkOrdinals) == 0}
	for _, o := range t.order.ordinals {
		t.order.types = append(t.order.types, columns[o].Type)
	}
	t.order.width = len(t.order.ordinals)
	t.clear()
}

// clear removes all rows and builds every index anew.
func (t *table) clear() {
	t.rows = btree.NewG(degree, t.order.less)
	for i, ix := range t.indexes {
		t.indexes[i] = t.newIndex(*ix)
	}
}

// newIndex builds the empty tree of a definition.
func (t *table) newIndex(ix index) *index {
	o := &order{byID: t.order.byID, prefixes: ix.lengths, width: len(ix.columns)}
	for _, name := range ix.columns {
		o.ordinals = append(o.ordinals, t.schema.IndexOfColName(name))
	}
	for _, ordinal := range t.schema.PkOrdinals {
		if !slices.Contains(o.ordinals, ordinal) {
			o.ordinals = append(o.ordinals, ordinal)
		}
	}
	for _, ordinal := range o.ordinals {
		o.types = append(o.types, t.schema.Schema[ordinal].Type)
	}
	ix.order, ix.tree = o, btree.NewG(degree, o.less)
	return &ix
}

// clone returns a version that can be changed; it shares what it does not change.
func (t *table) clone() *table {
	c := *t
	c.rows = t.rows.Clone()
	c.checks = slices.Clone(t.checks)
	c.indexes = make([]*index, len(t.indexes))
	for i, ix := range t.indexes {
		d := *ix
		d.tree = ix.tree.Clone()
		c.indexes[i] = &d
	}
	return &c
}

// newID is the id of the next row; rows of a table with a primary key are told apart by that, and have none.
func (t *table) newID() uint64 {
	if !t.order.byID {
		return 0
	}
	return t.nextID
}

// put adds a row, in the place of the one with its primary key or id if there is one.
func (t *table) put(id uint64, row sql.Row) {
	it := item{row: row, id: id}
	if old, replaced := t.rows.ReplaceOrInsert(it); replaced {
		for _, ix := range t.indexes {
			ix.tree.Delete(old)
		}
	}
	for _, ix := range t.indexes {
		ix.tree.ReplaceOrInsert(it)
	}
	t.nextID = max(t.nextID, id+1)
}

// remove takes a row away; false means that it is not there.
func (t *table) remove(id uint64, row sql.Row) bool {
	old, ok := t.rows.Delete(item{row: row, id: id})
	if !ok {
		return false
	}
	for _, ix := range t.indexes {
		ix.tree.Delete(old)
	}
	return true
}

// find returns the id of a row that equals row in a table without a primary key.
func (t *table) find(ctx *sql.Context, row sql.Row) (uint64, bool) {
	var id uint64
	found := false
	t.rows.Ascend(func(it item) bool {
		equal, err := it.row.Equals(ctx, row, t.schema.Schema)
		if err == nil && equal {
			id, found = it.id, true
		}
		return !found
	})
	return id, found
}

// conflict returns the error of a row that would violate a unique key.
func (t *table) conflict(row sql.Row) error {
	if !t.order.byID {
		if old, ok := t.rows.Get(item{row: row}); ok {
			return sql.NewUniqueKeyErr(t.describe(row, t.order), true, old.row)
		}
	}
	for _, ix := range t.indexes {
		if !ix.unique {
			continue
		}
		if old, ok := ix.lookup(row); ok {
			return sql.NewUniqueKeyErr(t.describe(row, ix.order), false, old)
		}
	}
	return nil
}

// lookup returns a row that has the same values in the index's own columns. A NULL is never the same.
func (ix *index) lookup(row sql.Row) (sql.Row, bool) {
	it := item{row: row}
	keys := make([]any, ix.order.width)
	for i := range keys {
		if keys[i] = ix.order.value(&it, i); keys[i] == nil {
			return nil, false
		}
	}
	var found sql.Row
	ix.tree.AscendRange(item{keys: keys}, item{keys: keys, high: true}, func(it item) bool {
		found = it.row
		return false
	})
	return found, found != nil
}

// describe shows the values of a row in the columns of a key, as the error of a duplicate does.
func (t *table) describe(row sql.Row, o *order) string {
	values := make([]string, o.width)
	for i := range values {
		values[i] = fmt.Sprint(row[o.ordinals[i]])
	}
	return "[" + strings.Join(values, ",") + "]"
}

// addIndex builds an index over the rows that are there.
func (t *table) addIndex(def sql.IndexDef) error {
	ix := index{name: def.Name, unique: def.IsUnique(), comment: def.Comment}
	for _, c := range def.Columns {
		ordinal := t.schema.IndexOfColName(c.Name)
		if ordinal < 0 {
			return sql.ErrKeyColumnDoesNotExist.New(c.Name)
		}
		ix.columns = append(ix.columns, t.schema.Schema[ordinal].Name)
		ix.lengths = append(ix.lengths, uint16(c.Length))
	}
	if !slices.ContainsFunc(ix.lengths, func(n uint16) bool { return n > 0 }) {
		ix.lengths = nil
	}
	if ix.name == "" {
		ix.name = t.freeName(ix.columns[0])
	}
	if t.index(ix.name) >= 0 {
		return sql.ErrDuplicateKey.New(ix.name)
	}
	built := t.newIndex(ix)
	var err error
	t.rows.Ascend(func(it item) bool {
		if built.unique {
			if old, ok := built.lookup(it.row); ok {
				err = sql.NewUniqueKeyErr(t.describe(it.row, built.order), false, old)
				return false
			}
		}
		built.tree.ReplaceOrInsert(it)
		return true
	})
	if err != nil {
		return err
	}
	t.indexes = append(t.indexes, built)
	return nil
}

// freeName is how MySQL names an index that has no name: after its first column, with a number when that is taken.
func (t *table) freeName(column string) string {
	name := column
	for n := 2; t.index(name) >= 0; n++ {
		name = fmt.Sprintf("%s_%d", column, n)
	}
	return name
}

// index returns the position of the index called name, or -1.
func (t *table) index(name string) int {
	return slices.IndexFunc(t.indexes, func(ix *index) bool { return strings.EqualFold(ix.name, name) })
}

// all returns the rows in key order.
func (t *table) all() []sql.Row {
	out := make([]sql.Row, 0, t.rows.Len())
	t.rows.Ascend(func(it item) bool {
		out = append(out, it.row)
		return true
	})
	return out
}
