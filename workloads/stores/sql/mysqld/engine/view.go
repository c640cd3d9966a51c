package engine

import (
	"github.com/dolthub/go-mysql-server/sql"
)

// Snapshot is everything as a session sees it at one moment. It is of use until the session's statement ends.
type Snapshot struct {
	root *root
	// fixed says that it never changes: the session has not begun to write.
	fixed bool
}

// Snapshot returns what the session sees now.
func (s *Session) Snapshot() Snapshot { return Snapshot{s.view(), s.tx == nil || !s.tx.writing} }

// Version is of the definitions in the snapshot, uncommitted ones of its session included: databases, tables, columns, keys, views and
// triggers. Snapshots of one version have the same ones.
func (s Snapshot) Version() uint64 { return s.root.version }

// Table returns a table of the snapshot; false when there is none of that name.
func (s Snapshot) Table(db, name string) (View, bool) {
	d := s.root.databases[key(db)]
	if d == nil {
		return View{}, false
	}
	t := d.tables[key(name)]
	return View{t, s.fixed}, t != nil
}

// View is a table of a snapshot. It is comparable.
type View struct {
	t     *table
	fixed bool
}

// Fixed says that this version of the table never changes: while the view is the same, what was made of its rows holds.
func (v View) Fixed() bool { return v.fixed }

// Len returns the number of rows.
func (v View) Len() int { return v.t.rows.Len() }

// Rows returns all rows in the order of the primary key. They must not be changed.
func (v View) Rows() []sql.Row { return v.t.all() }

// Find returns the rows whose leading columns of the primary key are prefix and whose next one is not below from nor above until, in the
// order of the primary key. A bound that is nil leaves its end open. The rows must not be changed.
func (v View) Find(prefix []any, from, until any) []sql.Row {
	low, high := item{keys: extend(prefix, from)}, item{keys: extend(prefix, until), high: true}
	var rows []sql.Row
	v.t.rows.AscendRange(low, high, func(it item) bool {
		rows = append(rows, it.row)
		return true
	})
	return rows
}

// extend returns a search key of its own; with a nil bound it ends after the prefix.
func extend(prefix []any, bound any) []any {
	keys := make([]any, len(prefix), len(prefix)+1)
	copy(keys, prefix)
	if bound != nil {
		keys = append(keys, bound)
	}
	return keys
}

// Identify says which table of a store a table of the SQL engine is; false for other tables, such as information_schema's.
func Identify(t sql.Table) (db, name string, ok bool) {
	h, ok := t.(*handle)
	if !ok {
		return "", "", false
	}
	return h.def.db, h.def.name, true
}

// redefine marks the transaction as one that changes definitions; what it sees is of a version that nobody else has.
func (t *transaction) redefine(s *Store) {
	t.definitions, t.view.version = true, s.versions.Add(1)
}

// standardVariables are the variables on which it depends what a SELECT means and how its rows are written.
func standardVariables() []string {
	return []string{
		sql.AutoCommitSessionVar, "sql_mode", "sql_select_limit", "character_set_client", "character_set_connection", "character_set_results",
		"collation_connection", "time_zone",
	}
}

// Standard says whether all variables on which the meaning of a SELECT depends have their defaults in the session.
func (s *Session) Standard() bool {
	if s.checked {
		return s.standard
	}
	s.standard, s.checked = true, true
	for _, name := range standardVariables() {
		if same, _ := sql.HasDefaultValue(s.ctx, s, name); !same {
			s.standard = false
		}
	}
	return s.standard
}

// SetSessionVariable implements sql.Session.
func (s *Session) SetSessionVariable(ctx *sql.Context, name string, value any) error {
	s.checked = false
	return s.BaseSession.SetSessionVariable(ctx, name, value)
}

// InitSessionVariable implements sql.Session.
func (s *Session) InitSessionVariable(ctx *sql.Context, name string, value any) error {
	s.checked = false
	return s.BaseSession.InitSessionVariable(ctx, name, value)
}

// IsPrimary says whether an index is a table's primary key.
func IsPrimary(i sql.Index) bool { return i.ID() == primary }
