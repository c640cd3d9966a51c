package engine

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dolthub/go-mysql-server/sql"
)

// Session is one client's session. The engine uses it from one goroutine at a time.
type Session struct {
	*sql.BaseSession
	store *Store
	tx    *transaction
	// ctx is what the session reads its own variables with.
	ctx *sql.Context
	// locked says that the session holds the store's write lock.
	locked bool
	// active is when the last statement ended, in Unix nanoseconds; 0 while one runs.
	active atomic.Int64
	// close ends the client's connection.
	close func()
	// standard is what Standard found, and checked that it still holds.
	standard, checked bool
}

var _ sql.TransactionSession = (*Session)(nil)

// NewSession returns a session; closeConn ends its connection and may be nil.
func (s *Store) NewSession(base *sql.BaseSession, closeConn func()) *Session {
	return &Session{BaseSession: base, store: s, close: closeConn, ctx: s.ctx}
}

// transaction is what a session sees and has changed.
type transaction struct {
	readOnly bool
	// view is the snapshot, or with writing the transaction's own state.
	view    *root
	writing bool
	// own are the tables of view that may be changed in place.
	own         map[*table]bool
	changes     []Change
	definitions bool
	savepoints  []savepoint
}

type savepoint struct {
	name        string
	view        *root
	changes     int
	definitions bool
}

// String names the transaction in logs.
func (t *transaction) String() string { return fmt.Sprintf("transaction %p", t) }

// IsReadOnly implements sql.Transaction.
func (t *transaction) IsReadOnly() bool { return t.readOnly }

// Begin is called before a statement. With write the session gets the write lock first.
func (s *Session) Begin(write bool) error {
	s.active.Store(0)
	if !write {
		return nil
	}
	return s.lockForWrite()
}

// End is called after a statement: outside of a transaction nothing is kept. failed says that the statement had an error.
func (s *Session) End(failed bool) {
	if failed && s.GetTransaction() != nil && !s.GetIgnoreAutoCommit() && s.autocommit() {
		s.rollback()
		s.SetTransaction(nil)
	}
	if s.GetTransaction() == nil {
		s.tx = nil
		s.unlock()
	}
	s.active.Store(s.store.clock.Now().UnixNano())
}

// Abort ends the session's transaction: its client is gone.
func (s *Session) Abort() {
	s.rollback()
	s.SetTransaction(nil)
}

func (s *Session) autocommit() bool {
	v, err := s.GetSessionVariable(s.ctx, sql.AutoCommitSessionVar)
	if err != nil {
		return true
	}
	on, err := sql.ConvertToBool(s.ctx, v)
	return err != nil || on
}

// idle is how long no statement has run; 0 while one does.
func (s *Session) idle() time.Duration {
	at := s.active.Load()
	if at == 0 {
		return 0
	}
	return s.store.clock.Since(time.Unix(0, at))
}

func (s *Session) disconnect() {
	if s.close != nil {
		s.close()
	}
}

// lockForWrite gets the write lock and moves a transaction that has not written yet to the newest state, as InnoDB's
// locking reads and writes see it.
func (s *Session) lockForWrite() error {
	if s.locked {
		return nil
	}
	if err := s.store.acquire(s, s.lockWait()); err != nil {
		return err
	}
	s.locked = true
	if s.tx != nil {
		s.tx.view = s.store.current.Load()
	}
	return nil
}

// lockWait is the session's innodb_lock_wait_timeout.
func (s *Session) lockWait() time.Duration {
	v, err := s.GetSessionVariable(s.ctx, LockWaitVariable)
	if n, ok := v.(int64); err == nil && ok && n > 0 {
		return time.Duration(n) * time.Second
	}
	return LockWait
}

func (s *Session) unlock() {
	if s.locked {
		s.locked = false
		s.store.release()
	}
}

// view returns the state that the session sees.
func (s *Session) view() *root {
	if s.tx == nil {
		return s.store.current.Load()
	}
	return s.tx.view
}

// write makes the transaction one that writes and returns it.
func (s *Session) write() (*transaction, error) {
	if s.tx == nil {
		return nil, fmt.Errorf("write without a transaction")
	}
	if s.tx.readOnly {
		return nil, sql.ErrReadOnlyTransaction.New()
	}
	if err := s.lockForWrite(); err != nil {
		return nil, err
	}
	if !s.tx.writing {
		s.tx.view, s.tx.writing, s.tx.own = s.tx.view.clone(), true, map[*table]bool{}
	}
	return s.tx, nil
}

// edit returns the version of a table that the transaction may change.
func (t *transaction) edit(db, name string) (*table, error) {
	d := t.view.databases[key(db)]
	if d == nil || d.tables[key(name)] == nil {
		return nil, sql.ErrTableNotFound.New(name)
	}
	tab := d.tables[key(name)]
	if !t.own[tab] {
		tab = tab.clone()
		t.own[tab] = true
		d.tables[key(name)] = tab
	}
	return tab, nil
}

// mark returns a copy of the state that the transaction can return to.
func (t *transaction) mark() savepoint {
	p := savepoint{view: t.view, changes: len(t.changes), definitions: t.definitions}
	t.view = t.view.clone()
	// What is shared with the mark must not be changed in place any more.
	clear(t.own)
	return p
}

func (t *transaction) reset(p savepoint) {
	t.view = p.view.clone()
	clear(t.own)
	t.changes, t.definitions = t.changes[:p.changes], p.definitions
}

// StartTransaction implements sql.TransactionSession.
func (s *Session) StartTransaction(_ *sql.Context, characteristic sql.TransactionCharacteristic) (sql.Transaction, error) {
	s.tx = &transaction{readOnly: characteristic == sql.ReadOnly, view: s.store.current.Load()}
	return s.tx, nil
}

// CommitTransaction implements sql.TransactionSession.
func (s *Session) CommitTransaction(*sql.Context, sql.Transaction) error {
	tx := s.tx
	s.tx = nil
	defer s.unlock()
	if tx == nil || !tx.writing || len(tx.changes) == 0 && !tx.definitions {
		return nil
	}
	if j := s.store.journal; j != nil {
		if err := j.Commit(tx.changes, tx.definitions); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
	}
	s.store.current.Store(tx.view)
	s.store.commits.Add(1)
	return nil
}

// Rollback implements sql.TransactionSession.
func (s *Session) Rollback(*sql.Context, sql.Transaction) error {
	s.rollback()
	return nil
}

func (s *Session) rollback() {
	if s.tx != nil && s.tx.writing {
		s.store.rollbacks.Add(1)
	}
	s.tx = nil
	s.unlock()
}

// CreateSavepoint implements sql.TransactionSession.
func (s *Session) CreateSavepoint(_ *sql.Context, _ sql.Transaction, name string) error {
	if s.tx == nil {
		return nil
	}
	var p savepoint
	if s.tx.writing {
		p = s.tx.mark()
	} else {
		p = savepoint{view: s.tx.view}
	}
	p.name = key(name)
	s.tx.savepoints = append(s.tx.without(p.name), p)
	return nil
}

func (t *transaction) without(name string) []savepoint {
	out := t.savepoints[:0:0]
	for _, p := range t.savepoints {
		if p.name != name {
			out = append(out, p)
		}
	}
	return out
}

// RollbackToSavepoint implements sql.TransactionSession.
func (s *Session) RollbackToSavepoint(_ *sql.Context, _ sql.Transaction, name string) error {
	if s.tx != nil {
		for i, p := range s.tx.savepoints {
			if p.name == key(name) {
				if s.tx.writing {
					s.tx.reset(p)
				}
				s.tx.savepoints = s.tx.savepoints[:i+1]
				return nil
			}
		}
	}
	return sql.ErrSavepointDoesNotExist.New(name)
}

// ReleaseSavepoint implements sql.TransactionSession.
func (s *Session) ReleaseSavepoint(_ *sql.Context, _ sql.Transaction, name string) error {
	if s.tx != nil {
		if rest := s.tx.without(key(name)); len(rest) < len(s.tx.savepoints) {
			s.tx.savepoints = rest
			return nil
		}
	}
	return sql.ErrSavepointDoesNotExist.New(name)
}

// sessionOf returns the session behind a context.
func sessionOf(ctx *sql.Context) (*Session, error) {
	s, ok := ctx.Session.(*Session)
	if !ok {
		return nil, fmt.Errorf("use store: the session is a %T", ctx.Session)
	}
	return s, nil
}
