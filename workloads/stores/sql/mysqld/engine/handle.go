package engine

import (
	"io"
	"strings"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
)

// handle is a table to the SQL engine. Its definition is what the statement was planned with; its rows are those that the
// session sees when they are read.
type handle struct {
	store *Store
	def   *table
	// lookup is set on a table that is read through an index.
	lookup *sql.IndexLookup
}

var (
	_ sql.IndexAddressableTable = (*handle)(nil)
	_ sql.IndexedTable          = (*handle)(nil)
	_ sql.IndexAlterableTable   = (*handle)(nil)
	_ sql.InsertableTable       = (*handle)(nil)
	_ sql.UpdatableTable        = (*handle)(nil)
	_ sql.DeletableTable        = (*handle)(nil)
	_ sql.ReplaceableTable      = (*handle)(nil)
	_ sql.TruncateableTable     = (*handle)(nil)
	_ sql.AutoIncrementTable    = (*handle)(nil)
	_ sql.PrimaryKeyTable       = (*handle)(nil)
	_ sql.RewritableTable       = (*handle)(nil)
	_ sql.CheckAlterableTable   = (*handle)(nil)
	_ sql.CheckTable            = (*handle)(nil)
	_ sql.CommentedTable        = (*handle)(nil)
	_ sql.StatisticsTable       = (*handle)(nil)
)

func newHandle(store *Store, def *table) *handle { return &handle{store: store, def: def} }

// data returns the session's version of the table.
func (h *handle) data(ctx *sql.Context) *table {
	if db := (provider{h.store}).view(ctx).databases[key(h.def.db)]; db != nil {
		if t := db.tables[key(h.def.name)]; t != nil {
			return t
		}
	}
	return h.def
}

// edit returns the version that the session may change.
func (h *handle) edit(ctx *sql.Context) (*transaction, *table, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := s.write()
	if err != nil {
		return nil, nil, err
	}
	t, err := tx.edit(h.def.db, h.def.name)
	return tx, t, err
}

// Name implements sql.Table.
func (h *handle) Name() string { return h.def.name }

// String implements sql.Table.
func (h *handle) String() string { return h.def.name }

// Schema implements sql.Table.
func (h *handle) Schema() sql.Schema { return h.def.schema.Schema }

// Collation implements sql.Table.
func (h *handle) Collation() sql.CollationID { return h.def.collation }

// Comment implements sql.CommentedTable.
func (h *handle) Comment() string { return h.def.comment }

// PrimaryKeySchema implements sql.PrimaryKeyTable.
func (h *handle) PrimaryKeySchema() sql.PrimaryKeySchema { return h.def.schema }

// whole is the only partition.
type whole struct{ lookup *sql.IndexLookup }

// Key implements sql.Partition.
func (whole) Key() []byte { return []byte("all") }

// Partitions implements sql.Table.
func (h *handle) Partitions(*sql.Context) (sql.PartitionIter, error) {
	return sql.PartitionsToPartitionIter(whole{h.lookup}), nil
}

// PartitionRows implements sql.Table.
func (h *handle) PartitionRows(ctx *sql.Context, p sql.Partition) (sql.RowIter, error) {
	var lookup *sql.IndexLookup
	if w, ok := p.(whole); ok {
		lookup = w.lookup
	}
	return &rowIter{h: h, lookup: lookup}, nil
}

// rowIter takes the rows when the first one is asked for. A statement that changes the table while it reads it therefore
// sees the table as it was.
type rowIter struct {
	h      *handle
	lookup *sql.IndexLookup
	rows   []sql.Row
	taken  bool
}

// Next implements sql.RowIter.
func (r *rowIter) Next(ctx *sql.Context) (sql.Row, error) {
	if !r.taken {
		r.taken = true
		t := r.h.data(ctx)
		if r.lookup == nil {
			r.rows = t.all()
		} else {
			var err error
			if r.rows, err = t.search(ctx, *r.lookup); err != nil {
				return nil, err
			}
		}
	}
	if len(r.rows) == 0 {
		return nil, io.EOF
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, nil
}

// Close implements sql.RowIter.
func (r *rowIter) Close(*sql.Context) error {
	r.rows = nil
	return nil
}

// RowCount implements sql.StatisticsTable.
func (h *handle) RowCount(ctx *sql.Context) (uint64, bool, error) {
	return uint64(h.data(ctx).rows.Len()), true, nil
}

// averageColumn is a guess at the bytes of a column, for the planner and information_schema.
const averageColumn = 16

// DataLength implements sql.StatisticsTable.
func (h *handle) DataLength(ctx *sql.Context) (uint64, error) {
	t := h.data(ctx)
	return uint64(t.rows.Len() * len(t.schema.Schema) * averageColumn), nil
}

// PeekNextAutoIncrementValue implements sql.AutoIncrementTable.
func (h *handle) PeekNextAutoIncrementValue(ctx *sql.Context) (uint64, error) {
	return h.data(ctx).autoIncrement, nil
}

// GetNextAutoIncrementValue implements sql.AutoIncrementTable.
func (h *handle) GetNextAutoIncrementValue(ctx *sql.Context, given any) (uint64, error) {
	_, t, err := h.edit(ctx)
	if err != nil {
		return 0, err
	}
	if given == nil {
		return t.autoIncrement, nil
	}
	v, _, err := types.Uint64.Convert(ctx, given)
	if err != nil {
		return 0, err
	}
	if n, ok := v.(uint64); ok && n > t.autoIncrement {
		t.autoIncrement = n
	}
	return t.autoIncrement, nil
}

// GetChecks implements sql.CheckTable.
func (h *handle) GetChecks(ctx *sql.Context) ([]sql.CheckDefinition, error) {
	return h.data(ctx).checks, nil
}

// define returns the transaction and the table for a change of the definition.
func (h *handle) define(ctx *sql.Context) (*table, error) {
	tx, t, err := h.edit(ctx)
	if err != nil {
		return nil, err
	}
	tx.redefine(h.store)
	return t, nil
}

// CreateCheck implements sql.CheckAlterableTable.
func (h *handle) CreateCheck(ctx *sql.Context, check *sql.CheckDefinition) error {
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	c := *check
	if c.Name == "" {
		c.Name = t.name + "_chk_" + string(rune('1'+len(t.checks)))
	}
	t.checks = append(t.checks, c)
	return nil
}

// DropCheck implements sql.CheckAlterableTable.
func (h *handle) DropCheck(ctx *sql.Context, name string) error {
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	for i, c := range t.checks {
		if strings.EqualFold(c.Name, name) {
			t.checks = append(t.checks[:i:i], t.checks[i+1:]...)
			return nil
		}
	}
	return sql.ErrUnknownConstraint.New(name)
}

// CreateIndex implements sql.IndexAlterableTable.
func (h *handle) CreateIndex(ctx *sql.Context, def sql.IndexDef) error {
	if def.Constraint != sql.IndexConstraint_None && def.Constraint != sql.IndexConstraint_Unique {
		return sql.ErrUnsupportedFeature.New("spatial, full-text and vector indexes")
	}
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	return t.addIndex(def)
}

// DropIndex implements sql.IndexAlterableTable.
func (h *handle) DropIndex(ctx *sql.Context, name string) error {
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	i := t.index(name)
	if i < 0 {
		return sql.ErrCantDropFieldOrKey.New(name)
	}
	t.indexes = append(t.indexes[:i:i], t.indexes[i+1:]...)
	return nil
}

// RenameIndex implements sql.IndexAlterableTable.
func (h *handle) RenameIndex(ctx *sql.Context, from, to string) error {
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	i := t.index(from)
	if i < 0 {
		return sql.ErrCantDropFieldOrKey.New(from)
	}
	t.indexes[i].name = to
	return nil
}
