package engine

import (
	"slices"
	"strings"

	"github.com/dolthub/go-mysql-server/sql"
)

// ShouldRewriteTable implements sql.RewritableTable: every change of the columns writes the table anew.
func (h *handle) ShouldRewriteTable(*sql.Context, sql.PrimaryKeySchema, sql.PrimaryKeySchema, *sql.Column, *sql.Column) bool {
	return true
}

// AddColumn implements sql.AlterableTable; it is not used for tables that are rewritten.
func (h *handle) AddColumn(*sql.Context, *sql.Column, *sql.ColumnOrder) error {
	return sql.ErrUnsupportedFeature.New("adding a column in place")
}

// DropColumn implements sql.AlterableTable; it is not used for tables that are rewritten.
func (h *handle) DropColumn(*sql.Context, string) error {
	return sql.ErrUnsupportedFeature.New("dropping a column in place")
}

// ModifyColumn implements sql.AlterableTable. Tables are rewritten for everything but a new name, which arrives here.
func (h *handle) ModifyColumn(ctx *sql.Context, name string, column *sql.Column, order *sql.ColumnOrder) error {
	t, err := h.define(ctx)
	if err != nil {
		return err
	}
	at := t.schema.IndexOfColName(name)
	if at < 0 {
		return sql.ErrTableColumnNotFound.New(t.name, name)
	}
	if order != nil || !column.Type.Equals(t.schema.Schema[at].Type) {
		return sql.ErrUnsupportedFeature.New("modifying a column in place")
	}
	columns := t.schema.Copy()
	columns[at] = column.Copy()
	columns[at].Source, columns[at].DatabaseSource = t.name, t.db
	t.schema = sql.NewPrimaryKeySchema(columns, t.schema.PkOrdinals...)
	for i, ix := range t.indexes {
		renamed := *ix
		renamed.columns = slices.Clone(ix.columns)
		for n, c := range renamed.columns {
			if strings.EqualFold(c, name) {
				renamed.columns[n] = column.Name
			}
		}
		t.indexes[i] = &renamed
	}
	return nil
}

// RewriteInserter implements sql.RewritableTable.
func (h *handle) RewriteInserter(ctx *sql.Context, _, schema sql.PrimaryKeySchema, from, to *sql.Column, _ []sql.IndexColumn) (sql.RowInserter, error) {
	old, err := h.define(ctx)
	if err != nil {
		return nil, err
	}
	t := newTable(old.db, old.name, schema, old.collation, old.comment)
	t.autoIncrement, t.checks = old.autoIncrement, old.checks
	for _, ix := range old.indexes {
		d := index{name: ix.name, unique: ix.unique, comment: ix.comment}
		for i, column := range ix.columns {
			if from != nil && to != nil && strings.EqualFold(column, from.Name) {
				column = to.Name
			}
			if t.schema.IndexOfColName(column) < 0 {
				continue
			}
			d.columns = append(d.columns, column)
			if ix.lengths != nil {
				d.lengths = append(d.lengths, ix.lengths[i])
			}
		}
		if len(d.columns) > 0 {
			t.indexes = append(t.indexes, t.newIndex(d))
		}
	}
	return &rewriter{h: h, t: t}, nil
}

// rewriter fills the new version of a table and puts it in the place of the old one when it is closed.
type rewriter struct {
	h      *handle
	t      *table
	failed bool
}

// StatementBegin implements sql.EditOpenerCloser.
func (r *rewriter) StatementBegin(*sql.Context) {}

// DiscardChanges implements sql.EditOpenerCloser.
func (r *rewriter) DiscardChanges(*sql.Context, error) error {
	r.failed = true
	return nil
}

// StatementComplete implements sql.EditOpenerCloser.
func (r *rewriter) StatementComplete(*sql.Context) error { return nil }

// Insert implements sql.RowInserter.
func (r *rewriter) Insert(ctx *sql.Context, row sql.Row) error {
	if err := r.t.admit(ctx, row); err != nil {
		r.failed = true
		return err
	}
	r.t.put(r.t.newID(), row)
	return nil
}

// Close implements sql.Closer.
func (r *rewriter) Close(ctx *sql.Context) error {
	if r.failed {
		return nil
	}
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	db := tx.view.databases[key(r.t.db)]
	if db == nil {
		return sql.ErrDatabaseNotFound.New(r.t.db)
	}
	tx.own[r.t] = true
	db.tables[key(r.t.name)] = r.t
	return nil
}
