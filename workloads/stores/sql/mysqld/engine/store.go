// Package engine is the storage of the SQL store: tables in copy-on-write B-trees, with transactions.
//
// A transaction reads one snapshot of everything. Only one transaction writes at a time: the first write, or locking read,
// of a transaction waits for the store's write lock, then continues on the newest committed state, and holds the lock until
// it ends. So what writers do is serial, readers never wait, and a rollback is forgetting. The SQL in front of it is
// go-mysql-server's.
package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"k8s.io/utils/clock"
)

// Change is one row that a committed transaction added or removed.
type Change struct {
	Database, Table string
	Insert          bool
	Row             sql.Row
	Schema          sql.Schema
	// RowID identifies the row of a table without a primary key.
	RowID uint64
	// AutoIncrement is the table's next value after the change.
	AutoIncrement uint64
}

// Journal is told about every commit before it becomes visible. It is called by one goroutine at a time.
type Journal interface {
	// Commit makes changes durable; its error aborts the transaction. definitions says that tables were made, altered or dropped.
	Commit(changes []Change, definitions bool) error
}

// Limits of waiting for the write lock.
const (
	// LockWait is how long a writer waits, and LockWaitVariable the variable, in seconds, that changes it for a session.
	LockWait         = 5 * time.Second
	LockWaitVariable = "innodb_lock_wait_timeout"
	// idleHolder is how long a transaction may hold the lock without doing anything while others wait.
	idleHolder = 10 * time.Second
)

// Store holds all databases.
type Store struct {
	clock   clock.WithTicker
	ctx     *sql.Context
	current atomic.Pointer[root]
	// lock holds one token while nobody writes.
	lock chan struct{}

	mu      sync.Mutex
	holder  *Session
	journal Journal

	// versions counts changes of definitions.
	versions                            atomic.Uint64
	waits, timeouts, commits, rollbacks atomic.Int64
}

// root is one state of everything. Roots that can be reached from Store.current do not change.
type root struct {
	databases map[string]*database
	// version is of the definitions in databases: two roots with the same one have the same.
	version uint64
}

type database struct {
	name      string
	collation sql.CollationID
	tables    map[string]*table
	views     map[string]sql.ViewDefinition
	triggers  map[string]sql.TriggerDefinition
}

// New returns an empty store.
func New(c clock.WithTicker) *Store {
	s := &Store{clock: c, ctx: sql.NewEmptyContext(), lock: make(chan struct{}, 1)}
	s.lock <- struct{}{}
	s.current.Store(&root{databases: map[string]*database{}})
	return s
}

// SetJournal sets who makes commits durable. It is called before there are sessions.
func (s *Store) SetJournal(j Journal) { s.journal = j }

// Stats are counters since the start.
type Stats struct{ LockWaits, LockTimeouts, Commits, Rollbacks int64 }

// Stats returns the counters.
func (s *Store) Stats() Stats {
	return Stats{s.waits.Load(), s.timeouts.Load(), s.commits.Load(), s.rollbacks.Load()}
}

func key(name string) string { return strings.ToLower(name) }

func (r *root) clone() *root {
	c := &root{databases: maps.Clone(r.databases), version: r.version}
	for name, db := range c.databases {
		d := *db
		d.tables, d.views, d.triggers = maps.Clone(db.tables), maps.Clone(db.views), maps.Clone(db.triggers)
		c.databases[name] = &d
	}
	return c
}

// errLockWait is what MySQL answers when the lock was not free in time.
func errLockWait() error {
	return mysql.NewSQLError(mysql.ERLockWaitTimeout, mysql.SSUnknownSQLState, "Lock wait timeout exceeded; try restarting transaction")
}

// acquire waits for the write lock.
func (s *Store) acquire(session *Session, wait time.Duration) error {
	select {
	case <-s.lock:
		s.setHolder(session)
		return nil
	default:
	}
	s.waits.Add(1)
	timer := s.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.lock:
		s.setHolder(session)
		return nil
	case <-timer.C():
	}
	s.timeouts.Add(1)
	s.mu.Lock()
	holder := s.holder
	s.mu.Unlock()
	// A client that is gone, or sleeps with a transaction open, must not stop everybody for ever.
	if holder != nil && holder.idle() > idleHolder {
		holder.disconnect()
	}
	return errLockWait()
}

func (s *Store) setHolder(session *Session) {
	s.mu.Lock()
	s.holder = session
	s.mu.Unlock()
}

func (s *Store) release() {
	s.setHolder(nil)
	s.lock <- struct{}{}
}

// Table is a table of the newest committed state, for writing it down.
type Table struct {
	Database, Name string
	Collation      sql.CollationID
	Schema         sql.Schema
	AutoIncrement  uint64
	t              *table
}

// Rows calls f for every row in key order, with its id when the table has no primary key.
func (t Table) Rows(f func(id uint64, row sql.Row) error) error {
	var err error
	t.t.rows.Ascend(func(it item) bool {
		err = f(it.id, it.row)
		return err == nil
	})
	return err
}

// Tables returns the tables of the newest committed state, sorted.
func (s *Store) Tables() []Table {
	var out []Table
	for _, db := range s.current.Load().databases {
		for _, t := range db.tables {
			out = append(out, Table{db.name, t.name, t.collation, t.schema.Schema, t.autoIncrement, t})
		}
	}
	slices.SortFunc(out, func(a, b Table) int {
		return strings.Compare(a.Database+"\x00"+a.Name, b.Database+"\x00"+b.Name)
	})
	return out
}

// Databases returns the names and collations of the databases, sorted by name.
func (s *Store) Databases() (names []string, collations []sql.CollationID) {
	dbs := s.current.Load().databases
	for _, k := range slices.Sorted(maps.Keys(dbs)) {
		names, collations = append(names, dbs[k].name), append(collations, dbs[k].collation)
	}
	return names, collations
}

// Definition is a statement that makes a view or a trigger.
type Definition struct{ Database, Statement string }

// Definitions returns the views and triggers, in the order in which they can be made.
func (s *Store) Definitions() []Definition {
	var out []Definition
	dbs := s.current.Load().databases
	for _, k := range slices.Sorted(maps.Keys(dbs)) {
		for _, v := range slices.Sorted(maps.Keys(dbs[k].views)) {
			out = append(out, Definition{dbs[k].name, dbs[k].views[v].CreateViewStatement})
		}
		for _, t := range slices.Sorted(maps.Keys(dbs[k].triggers)) {
			out = append(out, Definition{dbs[k].name, dbs[k].triggers[t].CreateStatement})
		}
	}
	return out
}

// Exclusive calls f while nobody writes.
func (s *Store) Exclusive(f func() error) error {
	if err := s.acquire(nil, LockWait); err != nil {
		return err
	}
	defer s.release()
	return f()
}

// Restore adds a row to a table, or removes it, without a transaction: for reading what a journal wrote. It must not be
// called while there are sessions.
func (s *Store) Restore(change Change) error {
	db := s.current.Load().databases[key(change.Database)]
	if db == nil || db.tables[key(change.Table)] == nil {
		return fmt.Errorf("restore row of %s.%s: no such table", change.Database, change.Table)
	}
	t := db.tables[key(change.Table)]
	if change.Insert {
		t.put(change.RowID, change.Row)
	} else {
		t.remove(change.RowID, change.Row)
	}
	t.autoIncrement = max(t.autoIncrement, change.AutoIncrement)
	return nil
}
