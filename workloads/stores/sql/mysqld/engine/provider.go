package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/dolthub/go-mysql-server/sql"
)

// Provider returns the databases to the SQL engine.
func (s *Store) Provider() sql.MutableDatabaseProvider { return provider{s} }

type provider struct{ store *Store }

var _ sql.CollatedDatabaseProvider = provider{}

func (p provider) view(ctx *sql.Context) *root {
	if ctx != nil {
		if s, err := sessionOf(ctx); err == nil {
			return s.view()
		}
	}
	return p.store.current.Load()
}

// Database implements sql.DatabaseProvider.
func (p provider) Database(ctx *sql.Context, name string) (sql.Database, error) {
	if db, ok := p.view(ctx).databases[key(name)]; ok {
		return databaseHandle{p.store, db.name}, nil
	}
	return nil, sql.ErrDatabaseNotFound.New(name)
}

// HasDatabase implements sql.DatabaseProvider.
func (p provider) HasDatabase(ctx *sql.Context, name string) bool {
	_, ok := p.view(ctx).databases[key(name)]
	return ok
}

// AllDatabases implements sql.DatabaseProvider.
func (p provider) AllDatabases(ctx *sql.Context) []sql.Database {
	dbs := p.view(ctx).databases
	var out []sql.Database
	for _, k := range slices.Sorted(maps.Keys(dbs)) {
		out = append(out, databaseHandle{p.store, dbs[k].name})
	}
	return out
}

// CreateDatabase implements sql.MutableDatabaseProvider.
func (p provider) CreateDatabase(ctx *sql.Context, name string) error {
	return p.CreateCollatedDatabase(ctx, name, sql.Collation_Default)
}

// CreateCollatedDatabase implements sql.CollatedDatabaseProvider.
func (p provider) CreateCollatedDatabase(ctx *sql.Context, name string, collation sql.CollationID) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	if _, ok := tx.view.databases[key(name)]; ok {
		return sql.ErrDatabaseExists.New(name)
	}
	tx.view.databases[key(name)] = &database{name: name, collation: collation, tables: map[string]*table{}, views: map[string]sql.ViewDefinition{}, triggers: map[string]sql.TriggerDefinition{}}
	return nil
}

// DropDatabase implements sql.MutableDatabaseProvider.
func (p provider) DropDatabase(ctx *sql.Context, name string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	delete(tx.view.databases, key(name))
	return nil
}

// define returns the session's transaction as one that changes definitions.
func define(ctx *sql.Context) (*transaction, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := s.write()
	if err != nil {
		return nil, err
	}
	tx.redefine(s.store)
	return tx, nil
}

// databaseHandle names a database; what is in it depends on the session.
type databaseHandle struct {
	store *Store
	name  string
}

var (
	_ sql.TableCreator     = databaseHandle{}
	_ sql.TableDropper     = databaseHandle{}
	_ sql.TableRenamer     = databaseHandle{}
	_ sql.CollatedDatabase = databaseHandle{}
	_ sql.ViewDatabase     = databaseHandle{}
	_ sql.TriggerDatabase  = databaseHandle{}

	_ sql.StoredProcedureDatabase = databaseHandle{}
)

func (d databaseHandle) data(ctx *sql.Context) *database {
	if db := (provider{d.store}).view(ctx).databases[key(d.name)]; db != nil {
		return db
	}
	return &database{name: d.name, collation: sql.Collation_Default}
}

// Name implements sql.Database.
func (d databaseHandle) Name() string { return d.name }

// GetTableInsensitive implements sql.Database.
func (d databaseHandle) GetTableInsensitive(ctx *sql.Context, name string) (sql.Table, bool, error) {
	t, ok := d.data(ctx).tables[key(name)]
	if !ok {
		return nil, false, nil
	}
	return newHandle(d.store, t), true, nil
}

// GetTableNames implements sql.Database.
func (d databaseHandle) GetTableNames(ctx *sql.Context) ([]string, error) {
	var names []string
	for _, t := range d.data(ctx).tables {
		names = append(names, t.name)
	}
	slices.Sort(names)
	return names, nil
}

// CreateTable implements sql.TableCreator.
func (d databaseHandle) CreateTable(ctx *sql.Context, name string, schema sql.PrimaryKeySchema, collation sql.CollationID, comment string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	db := tx.view.databases[key(d.name)]
	if db == nil {
		return sql.ErrDatabaseNotFound.New(d.name)
	}
	if _, ok := db.tables[key(name)]; ok {
		return sql.ErrTableAlreadyExists.New(name)
	}
	t := newTable(d.name, name, schema, collation, comment)
	tx.own[t] = true
	db.tables[key(name)] = t
	return nil
}

// DropTable implements sql.TableDropper.
func (d databaseHandle) DropTable(ctx *sql.Context, name string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	db := tx.view.databases[key(d.name)]
	if db == nil || db.tables[key(name)] == nil {
		return sql.ErrTableNotFound.New(name)
	}
	delete(db.tables, key(name))
	return nil
}

// RenameTable implements sql.TableRenamer.
func (d databaseHandle) RenameTable(ctx *sql.Context, from, to string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	t, err := tx.edit(d.name, from)
	if err != nil {
		return err
	}
	db := tx.view.databases[key(d.name)]
	if _, taken := db.tables[key(to)]; taken && !strings.EqualFold(from, to) {
		return sql.ErrTableAlreadyExists.New(to)
	}
	t.name = to
	columns := t.schema.Copy()
	for _, c := range columns {
		c.Source = to
	}
	t.schema = sql.NewPrimaryKeySchema(columns, t.schema.PkOrdinals...)
	delete(db.tables, key(from))
	db.tables[key(to)] = t
	return nil
}

// GetCollation implements sql.CollatedDatabase.
func (d databaseHandle) GetCollation(ctx *sql.Context) sql.CollationID { return d.data(ctx).collation }

// SetCollation implements sql.CollatedDatabase.
func (d databaseHandle) SetCollation(ctx *sql.Context, collation sql.CollationID) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	tx.view.databases[key(d.name)].collation = collation
	return nil
}

// CreateView implements sql.ViewDatabase.
func (d databaseHandle) CreateView(ctx *sql.Context, name, selectStatement, createStatement string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	views := tx.view.databases[key(d.name)].views
	if _, ok := views[key(name)]; ok {
		return sql.ErrExistingView.New(d.name, name)
	}
	views[key(name)] = sql.ViewDefinition{Name: name, TextDefinition: selectStatement, CreateViewStatement: createStatement, SqlMode: sql.LoadSqlMode(ctx).String()}
	return nil
}

// DropView implements sql.ViewDatabase.
func (d databaseHandle) DropView(ctx *sql.Context, name string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	views := tx.view.databases[key(d.name)].views
	if _, ok := views[key(name)]; !ok {
		return sql.ErrViewDoesNotExist.New(d.name, name)
	}
	delete(views, key(name))
	return nil
}

// GetViewDefinition implements sql.ViewDatabase.
func (d databaseHandle) GetViewDefinition(ctx *sql.Context, name string) (sql.ViewDefinition, bool, error) {
	v, ok := d.data(ctx).views[key(name)]
	return v, ok, nil
}

// AllViews implements sql.ViewDatabase.
func (d databaseHandle) AllViews(ctx *sql.Context) ([]sql.ViewDefinition, error) {
	views := d.data(ctx).views
	var out []sql.ViewDefinition
	for _, k := range slices.Sorted(maps.Keys(views)) {
		out = append(out, views[k])
	}
	return out, nil
}

// GetTriggers implements sql.TriggerDatabase.
func (d databaseHandle) GetTriggers(ctx *sql.Context) ([]sql.TriggerDefinition, error) {
	triggers := d.data(ctx).triggers
	var out []sql.TriggerDefinition
	for _, k := range slices.Sorted(maps.Keys(triggers)) {
		out = append(out, triggers[k])
	}
	return out, nil
}

// CreateTrigger implements sql.TriggerDatabase.
func (d databaseHandle) CreateTrigger(ctx *sql.Context, definition sql.TriggerDefinition) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	tx.view.databases[key(d.name)].triggers[key(definition.Name)] = definition
	return nil
}

// DropTrigger implements sql.TriggerDatabase.
func (d databaseHandle) DropTrigger(ctx *sql.Context, name string) error {
	tx, err := define(ctx)
	if err != nil {
		return err
	}
	triggers := tx.view.databases[key(d.name)].triggers
	if _, ok := triggers[key(name)]; !ok {
		return sql.ErrTriggerDoesNotExist.New(name)
	}
	delete(triggers, key(name))
	return nil
}

// GetStoredProcedure implements sql.StoredProcedureDatabase: there are none.
func (d databaseHandle) GetStoredProcedure(*sql.Context, string) (sql.StoredProcedureDetails, bool, error) {
	return sql.StoredProcedureDetails{}, false, nil
}

// GetStoredProcedures implements sql.StoredProcedureDatabase.
func (d databaseHandle) GetStoredProcedures(*sql.Context) ([]sql.StoredProcedureDetails, error) {
	return nil, nil
}

// SaveStoredProcedure implements sql.StoredProcedureDatabase.
func (d databaseHandle) SaveStoredProcedure(*sql.Context, sql.StoredProcedureDetails) error {
	return sql.ErrUnsupportedFeature.New("stored procedures")
}

// DropStoredProcedure implements sql.StoredProcedureDatabase.
func (d databaseHandle) DropStoredProcedure(_ *sql.Context, name string) error {
	return sql.ErrStoredProcedureDoesNotExist.New(name)
}
