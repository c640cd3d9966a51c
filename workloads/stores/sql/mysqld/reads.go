package mysqld

import (
	"context"
	"sync"
	"sync/atomic"

	gms "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/server"
	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
	ast "github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// maxReads is how many statements are kept; beyond it all are forgotten. bufferSize is the size in bytes of a new buffer for an answer.
const (
	maxReads   = 256
	bufferSize = 4096
)

// reads answers SELECTs that come again and again with other constants without go-mysql-server, which parses, binds and analyses every text
// anew: more work than the answer. The first of a shape goes the long way, through go-mysql-server, and is understood; so does everything that
// is not a read, and every session that changed a variable on which an answer depends. What a client can notice is the same on
// both ways: rights are asked for each time, what was understood holds for one version of the definitions only, and the
// process list, status counters, warnings, FOUND_ROWS and flags are kept.
type reads struct {
	engine *gms.Engine
	// context makes a context of the server itself, which may do everything.
	context func(ctx context.Context, db string) *gmssql.Context
	// manager makes the contexts of clients. It is set before the first statement.
	manager *server.SessionManager

	mu    sync.RWMutex
	known map[string]*read
	// answered counts the statements that did not go the long way.
	answered atomic.Int64
}

func newReads(e *gms.Engine, own func(ctx context.Context, db string) *gmssql.Context) *reads {
	return &reads{engine: e, context: own, known: map[string]*read{}}
}

// query runs one statement of a connection; long is how it is run without reads.
func (r *reads) query(ctx context.Context, c *mysql.Conn, session *engine.Session, query string, callback mysql.ResultSpoolFn, long func(mysql.ResultSpoolFn) error) error {
	if session == nil || !session.Standard() || session.GetTransaction() != nil && !session.GetIgnoreAutoCommit() {
		return long(callback)
	}
	var s shape
	database := session.GetCurrentDatabase()
	if !s.of(database, query) {
		return long(callback)
	}
	snapshot := session.Snapshot()
	if known := r.find(s.key); known != nil && known.version == snapshot.Version() {
		if view, ok := snapshot.Table(known.database, known.table); ok && known.fit {
			if done, err := r.answer(ctx, c, session, known, view, query, s.constants, callback); done {
				return err
			}
		}
		return long(callback)
	}
	var fields []*querypb.Field
	err := long(func(result *sqltypes.Result, more bool) error {
		if fields == nil {
			fields = result.Fields
		}
		return callback(result, more)
	})
	if err == nil && len(fields) > 0 {
		r.learn(ctx, snapshot.Version(), string(s.key), database, query, s.constants, fields)
	}
	return err
}

func (r *reads) find(key []byte) *read {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known[string(key)]
}

// learn understands a statement that has been answered with fields, by definitions that are not older than version.
func (r *reads) learn(ctx context.Context, version uint64, key, database, query string, constants []constant, fields []*querypb.Field) {
	c := r.context(ctx, database)
	session, ok := c.Session.(*engine.Session)
	if !ok {
		return
	}
	// In a transaction, all that follows sees the same version.
	if _, err := session.StartTransaction(c, gmssql.ReadWrite); err != nil {
		return
	}
	defer session.Abort()
	learned := &read{version: session.Snapshot().Version(), fields: fields}
	if learned.version != version {
		return // The fields may be of others: the client sees older definitions, or they are being changed.
	}
	learned.fit = r.understand(c, learned, query, constants) && len(learned.schema) == len(fields)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxReads {
		clear(r.known)
	}
	r.known[key] = learned
}

func (r *reads) understand(c *gmssql.Context, learned *read, query string, constants []constant) bool {
	statement, err := r.engine.Parser.ParseSimple(query)
	if err != nil {
		return false
	}
	selection, ok := statement.(*ast.Select)
	if !ok {
		return false
	}
	bound, flags, err := planbuilder.New(c, r.engine.Analyzer.Catalog, nil, r.engine.Parser).BindOnly(selection, query, nil)
	if err != nil {
		return false
	}
	analysed, err := r.engine.Analyzer.Analyze(c, bound, nil, flags)
	return err == nil && learned.understand(c, selection, analysed, constants)
}

// answer answers a statement; done is false when it has to go the long way, and nothing has happened yet. The steps are those of
// go-mysql-server's handler and engine, in their order.
func (r *reads) answer(ctx context.Context, c *mysql.Conn, session *engine.Session, known *read, view engine.View, query string, constants []constant, callback mysql.ResultSpoolFn) (done bool, err error) {
	arguments, ok := values(known.conditions, constants)
	if !ok {
		return false, nil
	}
	sqlCtx, err := r.manager.NewContextWithQuery(ctx, c, query)
	if err != nil {
		return true, err
	}
	if r.engine.Analyzer.Catalog.AuthorizationHandler().HandleAuth(sqlCtx, nil, known.auth) != nil {
		return false, nil // The long way says it in its own words.
	}
	if sqlCtx, err = sqlCtx.ProcessList.BeginQuery(sqlCtx, query); err != nil {
		return true, err
	}
	defer sqlCtx.ProcessList.EndQuery(sqlCtx)
	r.answered.Add(1)
	gmssql.IncrementStatusVariable(sqlCtx, "Questions", 1)
	gmssql.IncrementStatusVariable(sqlCtx, "Com_select", 1)
	session.ClearWarnings()
	setStatus(c, session)
	buffer, ok := gmssql.ByteBufPool.Get().(*gmssql.ByteBuffer)
	if !ok {
		buffer = gmssql.NewByteBuffer(bufferSize)
	}
	defer func() {
		buffer.Reset()
		gmssql.ByteBufPool.Put(buffer)
	}()
	out := &spool{fields: known.fields, callback: callback, buffer: buffer}
	if err := known.send(sqlCtx, view, arguments, out); err != nil {
		return true, err
	}
	session.SetLastQueryInfoInt(gmssql.RowCount, -1)
	session.SetLastQueryInfoInt(gmssql.FoundRows, out.total)
	return true, out.end()
}

// setStatus sets the flags that go with an answer. A session with standard variables commits by itself outside of transactions.
func setStatus(c *mysql.Conn, session *engine.Session) {
	c.StatusFlags |= mysql.ServerStatusAutocommit
	if session.GetTransaction() != nil {
		c.StatusFlags |= mysql.ServerInTransaction
	} else {
		c.StatusFlags &^= mysql.ServerInTransaction
	}
}
