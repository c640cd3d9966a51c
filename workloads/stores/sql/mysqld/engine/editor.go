package engine

import (
	"fmt"
	"slices"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"
)

// editor changes rows of a table for one statement.
type editor struct {
	h     *handle
	begun bool
	mark  savepoint
}

var (
	_ sql.TableEditor         = (*editor)(nil)
	_ sql.AutoIncrementSetter = (*editor)(nil)
)

// Inserter implements sql.InsertableTable.
func (h *handle) Inserter(*sql.Context) sql.RowInserter { return &editor{h: h} }

// Updater implements sql.UpdatableTable.
func (h *handle) Updater(*sql.Context) sql.RowUpdater { return &editor{h: h} }

// Deleter implements sql.DeletableTable.
func (h *handle) Deleter(*sql.Context) sql.RowDeleter { return &editor{h: h} }

// Replacer implements sql.ReplaceableTable.
func (h *handle) Replacer(*sql.Context) sql.RowReplacer { return &editor{h: h} }

// AutoIncrementSetter implements sql.AutoIncrementTable.
func (h *handle) AutoIncrementSetter(*sql.Context) sql.AutoIncrementSetter { return &editor{h: h} }

// StatementBegin implements sql.EditOpenerCloser. It cannot fail; if the lock cannot be had, the first change says so.
func (e *editor) StatementBegin(ctx *sql.Context) {
	if tx, _, err := e.h.edit(ctx); err == nil {
		e.mark, e.begun = tx.mark(), true
	}
}

// DiscardChanges implements sql.EditOpenerCloser.
func (e *editor) DiscardChanges(ctx *sql.Context, cause error) error {
	if _, ignorable := cause.(sql.IgnorableError); ignorable || !e.begun { //nolint:errorlint // as go-mysql-server's own editors do.
		return nil
	}
	tx, _, err := e.h.edit(ctx)
	if err != nil {
		return err
	}
	tx.reset(e.mark)
	return nil
}

// StatementComplete implements sql.EditOpenerCloser.
func (e *editor) StatementComplete(*sql.Context) error { return nil }

// Close implements sql.Closer.
func (e *editor) Close(*sql.Context) error { return nil }

// check refuses rows that do not fit the table.
func (t *table) check(ctx *sql.Context, row sql.Row) error {
	if len(row) != len(t.schema.Schema) {
		return fmt.Errorf("row of %s has %d values, want %d", t.name, len(row), len(t.schema.Schema))
	}
	for i, c := range t.schema.Schema {
		if row[i] == nil && !c.Nullable && !c.AutoIncrement {
			return sql.ErrInsertIntoNonNullableProvidedNull.New(c.Name)
		}
	}
	return nil
}

// admit refuses a row that does not fit the table or is there already, and moves the auto-increment counter behind it.
func (t *table) admit(ctx *sql.Context, row sql.Row) error {
	if err := t.check(ctx, row); err != nil {
		return err
	}
	if err := t.conflict(row); err != nil {
		return err
	}
	return t.advance(ctx, row)
}

// Insert implements sql.RowInserter.
func (e *editor) Insert(ctx *sql.Context, row sql.Row) error {
	tx, t, err := e.h.edit(ctx)
	if err != nil {
		return err
	}
	if err := t.admit(ctx, row); err != nil {
		return err
	}
	id := t.newID()
	row = slices.Clone(row)
	t.put(id, row)
	tx.note(t, true, id, row)
	return nil
}

// advance moves the auto-increment counter behind the value of a row.
func (t *table) advance(ctx *sql.Context, row sql.Row) error {
	i := slices.IndexFunc(t.schema.Schema, func(c *sql.Column) bool { return c.AutoIncrement })
	if i < 0 || row[i] == nil {
		return nil
	}
	v, _, err := types.Uint64.Convert(ctx, row[i])
	if err != nil {
		return err
	}
	if n, ok := v.(uint64); ok && n >= t.autoIncrement {
		t.autoIncrement = n + 1
	}
	return nil
}

func (tx *transaction) note(t *table, insert bool, id uint64, row sql.Row) {
	tx.changes = append(tx.changes, Change{
		Database: t.db, Table: t.name, Insert: insert, Row: row, Schema: t.schema.Schema, RowID: id, AutoIncrement: t.autoIncrement,
	})
}

// Delete implements sql.RowDeleter.
func (e *editor) Delete(ctx *sql.Context, row sql.Row) error {
	tx, t, err := e.h.edit(ctx)
	if err != nil {
		return err
	}
	return tx.remove(ctx, t, row)
}

func (tx *transaction) remove(ctx *sql.Context, t *table, row sql.Row) error {
	var id uint64
	if t.order.byID {
		var ok bool
		if id, ok = t.find(ctx, row); !ok {
			return sql.ErrDeleteRowNotFound.New()
		}
	}
	if !t.remove(id, row) {
		return sql.ErrDeleteRowNotFound.New()
	}
	tx.note(t, false, id, row)
	return nil
}

// Update implements sql.RowUpdater.
func (e *editor) Update(ctx *sql.Context, from, to sql.Row) error {
	tx, t, err := e.h.edit(ctx)
	if err != nil {
		return err
	}
	if err := t.check(ctx, to); err != nil {
		return err
	}
	if err := tx.remove(ctx, t, from); err != nil {
		return err
	}
	if err := t.conflict(to); err != nil {
		// The statement may go on (INSERT IGNORE, UPDATE IGNORE): the old row stays.
		id := t.newID()
		t.put(id, from)
		tx.note(t, true, id, from)
		return err
	}
	return e.Insert(ctx, to)
}

// SetAutoIncrementValue implements sql.AutoIncrementSetter.
func (e *editor) SetAutoIncrementValue(ctx *sql.Context, v uint64) error {
	t, err := e.h.define(ctx)
	if err != nil {
		return err
	}
	t.autoIncrement = v
	return nil
}

// AcquireAutoIncrementLock implements sql.AutoIncrementSetter. A writer is alone already.
func (e *editor) AcquireAutoIncrementLock(*sql.Context) (func(), error) { return func() {}, nil }

// Truncate implements sql.TruncateableTable.
func (h *handle) Truncate(ctx *sql.Context) (int, error) {
	tx, t, err := h.edit(ctx)
	if err != nil {
		return 0, err
	}
	// Written down as a whole: a change per row would only be longer.
	tx.definitions = true
	n := t.rows.Len()
	t.clear()
	t.autoIncrement = 1
	return n, nil
}
