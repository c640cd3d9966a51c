package mysqld

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"

	gms "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/server"
	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"

	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// sessions are the sessions of the connections.
type sessions struct {
	store *engine.Store

	mu     sync.Mutex
	byConn map[uint32]*engine.Session
	total  atomic.Int64
}

// build is the server's session builder.
func (s *sessions) build(_ context.Context, conn *mysql.Conn, address string) (gmssql.Session, error) {
	client := gmssql.Client{Capabilities: conn.Capabilities}
	if user, ok := conn.UserData.(gmssql.MysqlConnectionUser); ok {
		client.Address, client.User = user.Host, user.User
	}
	base := gmssql.NewBaseSessionWithClientServer(address, client, conn.ConnectionID)
	session := s.store.NewSession(base, conn.Close)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byConn[conn.ConnectionID] = session
	return session, nil
}

func (s *sessions) get(c *mysql.Conn) *engine.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byConn[c.ConnectionID]
}

func (s *sessions) remove(c *mysql.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byConn, c.ConnectionID)
}

func (s *sessions) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byConn)
}

// handler puts the store's lock around statements and answers a write only when it is in the journal.
type handler struct {
	mysql.Handler
	sessions *sessions
	journal  *journal
	reads    *reads
}

// intercept is a server.Option that puts the instance's handler in front of the server's.
func (i *instance) intercept(e *gms.Engine, manager *server.SessionManager, h mysql.Handler) (*gms.Engine, *server.SessionManager, mysql.Handler) {
	i.reads.manager = manager
	return e, manager, &handler{h, i.sessions, i.journal, i.reads}
}

// statement runs one statement of a connection.
func (h *handler) statement(c *mysql.Conn, query string, callback mysql.ResultSpoolFn, run func(callback mysql.ResultSpoolFn) error) error {
	h.sessions.total.Add(1)
	return translate(h.locked(c, query, callback, run))
}

func (h *handler) locked(c *mysql.Conn, query string, callback mysql.ResultSpoolFn, run func(callback mysql.ResultSpoolFn) error) error {
	session := h.sessions.get(c)
	if session == nil {
		// The first statement of a connection makes the session; it is not a write, or the engine takes the lock itself.
		err := run(callback)
		if session = h.sessions.get(c); session != nil {
			session.End(err != nil)
		}
		return err
	}
	write := writes(query)
	if err := session.Begin(write); err != nil {
		session.End(false)
		return err
	}
	if !write {
		err := run(callback)
		session.End(err != nil)
		return err
	}
	type answer struct {
		result *sqltypes.Result
		more   bool
	}
	var answers []answer
	err := run(func(result *sqltypes.Result, more bool) error {
		answers = append(answers, answer{keep(result), more})
		return nil
	})
	session.End(err != nil)
	if err != nil {
		return err
	}
	if err := h.journal.compact(); err != nil {
		return err
	}
	for _, a := range answers {
		if err := callback(a.result, a.more); err != nil {
			return err
		}
	}
	return nil
}

// keep returns a copy that stays as it is: the values of a result are in a buffer that other connections use after the statement.
func keep(result *sqltypes.Result) *sqltypes.Result {
	kept := result.Copy()
	for _, row := range kept.Rows {
		for i, v := range row {
			if !v.IsNull() {
				row[i] = sqltypes.MakeTrusted(v.Type(), bytes.Clone(v.Raw()))
			}
		}
	}
	return kept
}

// ComQuery implements mysql.Handler.
func (h *handler) ComQuery(ctx context.Context, c *mysql.Conn, query string, callback mysql.ResultSpoolFn) error {
	return h.statement(c, query, callback, func(callback mysql.ResultSpoolFn) error {
		return h.reads.query(ctx, c, h.sessions.get(c), query, callback, func(callback mysql.ResultSpoolFn) error {
			return h.Handler.ComQuery(ctx, c, query, callback)
		})
	})
}

// ComMultiQuery implements mysql.Handler.
func (h *handler) ComMultiQuery(ctx context.Context, c *mysql.Conn, query string, callback mysql.ResultSpoolFn) (string, error) {
	var rest string
	err := h.statement(c, query, callback, func(callback mysql.ResultSpoolFn) error {
		var err error
		rest, err = h.Handler.ComMultiQuery(ctx, c, query, callback)
		return err
	})
	return rest, err
}

// ComStmtExecute implements mysql.Handler.
func (h *handler) ComStmtExecute(ctx context.Context, c *mysql.Conn, prepare *mysql.PrepareData, callback func(*sqltypes.Result) error) error {
	spool := func(result *sqltypes.Result, _ bool) error { return callback(result) }
	return h.statement(c, prepare.PrepareStmt, spool, func(spool mysql.ResultSpoolFn) error {
		return h.Handler.ComStmtExecute(ctx, c, prepare, func(result *sqltypes.Result) error { return spool(result, false) })
	})
}

// ComInitDB implements mysql.Handler.
func (h *handler) ComInitDB(c *mysql.Conn, name string) error {
	return translate(h.Handler.ComInitDB(c, name))
}

// ComPrepare implements mysql.Handler.
func (h *handler) ComPrepare(ctx context.Context, c *mysql.Conn, query string, prepare *mysql.PrepareData) ([]*querypb.Field, error) {
	fields, err := h.Handler.ComPrepare(ctx, c, query, prepare)
	return fields, translate(err)
}

// ConnectionClosed implements mysql.Handler.
func (h *handler) ConnectionClosed(c *mysql.Conn) {
	if session := h.sessions.get(c); session != nil {
		session.Abort()
	}
	h.Handler.ConnectionClosed(c)
	// Last, since the server makes a session only now for a connection that has said nothing, as a probe's, to release its locks.
	h.sessions.remove(c)
}

// ComResetConnection implements mysql.Handler.
func (h *handler) ComResetConnection(c *mysql.Conn) error {
	if session := h.sessions.get(c); session != nil {
		session.Abort()
	}
	return h.Handler.ComResetConnection(c)
}

// writes says whether the first statement of a text needs the write lock from its start. What it misses still gets the
// lock when it changes its first row.
func writes(query string) bool {
	rest := skipSpace(query)
	word := strings.ToUpper(rest[:wordEnd(rest)])
	switch word {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "TRUNCATE", "CREATE", "ALTER", "DROP", "RENAME", "CALL", "COMMIT":
		return true
	case "SELECT", "WITH":
		statement, _, _ := strings.Cut(strings.ToUpper(rest), ";")
		return strings.Contains(statement, "FOR UPDATE") || strings.Contains(statement, "FOR SHARE") || strings.Contains(statement, "LOCK IN SHARE MODE")
	}
	return false
}

// skipSpace cuts white space, comments and opening parentheses off the start.
func skipSpace(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\r\n(;")
		switch {
		case strings.HasPrefix(s, "/*"):
			_, after, ok := strings.Cut(s, "*/")
			if !ok {
				return ""
			}
			s = after
		case strings.HasPrefix(s, "-- "), strings.HasPrefix(s, "#"):
			_, after, ok := strings.Cut(s, "\n")
			if !ok {
				return ""
			}
			s = after
		default:
			return s
		}
	}
}

func wordEnd(s string) int {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return i
		}
	}
	return len(s)
}
