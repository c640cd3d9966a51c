// Package mysqld is a SQL store that speaks the MySQL protocol: users and grants, transactions, a data directory. The SQL is
// go-mysql-server's, the storage is package engine.
package mysqld

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/server"
	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/types"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// The directories are those of the real image.
const (
	dataDir = "/var/lib/mysql"
	initDir = "/docker-entrypoint-initdb.d"
)

// Limits of connections, and of how long a client may take to accept an answer.
const (
	maxConnections = 151
	maxLockWait    = 1073741824
	writeTimeout   = 10 * time.Second
)

// gcPercent and memoryLimit keep the process small.
const (
	gcPercent   = 100
	memoryLimit = 192 << 20
)

// Image returns the store's image with its program.
func Image() program.Image {
	im := sql.Image()
	im.Binary, im.Program = "", Run
	return im
}

// instance is one running store.
type instance struct {
	sys      *program.Sys
	log      *slog.Logger
	store    *engine.Store
	engine   *gms.Engine
	sessions *sessions
	journal  *journal
	reads    *reads
	started  time.Time
}

// Run is the server. It is configured as the real image is: MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER and MYSQL_PASSWORD, and
// /docker-entrypoint-initdb.d, all used once, when the data directory is empty. DATADIR is where the data are kept.
func Run(ctx context.Context, sys *program.Sys) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	logrus.SetOutput(io.Discard)
	i := newInstance(sys)
	if err := i.open(ctx); err != nil {
		return err
	}
	// What reading the data left behind is not needed any more.
	debug.FreeOSMemory()
	err := i.serve(ctx)
	return errors.Join(err, i.journal.close())
}

func newInstance(sys *program.Sys) *instance {
	i := &instance{sys: sys, log: slog.New(slog.NewTextHandler(sys.Stdout, nil)), store: engine.New(sys.Clock), started: sys.Clock.Now()}
	i.sessions = &sessions{store: i.store, byConn: map[uint32]*engine.Session{}}
	a := analyzer.NewDefault(i.store.Provider())
	i.engine = gms.New(a, &gms.Config{})
	dir := sys.Getenv("DATADIR")
	if dir == "" {
		dir = dataDir
	}
	i.journal = newJournal(i, dir)
	i.reads = newReads(i.engine, i.context)
	return i
}

// open reads the data directory, or fills it when it is empty.
func (i *instance) open(ctx context.Context) error {
	if err := setVariables(); err != nil {
		return err
	}
	privileges := i.engine.Analyzer.Catalog.MySQLDb
	editor := privileges.Editor()
	privileges.AddLockedSuperUser(editor, internalUser, "localhost", "")
	editor.Close()
	existed, err := i.journal.load(ctx)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	privileges.SetPersister(i.journal)
	if !existed {
		if err := i.initialize(ctx); err != nil {
			return fmt.Errorf("initialize data directory: %w", err)
		}
	}
	i.store.SetJournal(i.journal)
	if err := i.journal.snapshot(); err != nil {
		return fmt.Errorf("write data directory: %w", err)
	}
	i.log.Info("InnoDB initialization has ended.", "initialized", !existed)
	return nil
}

// setVariables sets the server's variables. They belong to the process, as go-mysql-server has them.
func setVariables() error {
	gmssql.SystemVariables.AddSystemVariables([]gmssql.SystemVariable{&gmssql.MysqlSystemVariable{
		Name: engine.LockWaitVariable, Scope: gmssql.GetMysqlScope(gmssql.SystemVariableScope_Both), Dynamic: true,
		Type: types.NewSystemIntType(engine.LockWaitVariable, 1, maxLockWait, false), Default: int64(engine.LockWait / time.Second),
	}})
	// The engine reads and writes files of statements on the host: there is no directory for them.
	for name, value := range map[string]any{"version": sql.Version, "max_connections": int64(maxConnections), "secure_file_priv": "/dev/null/none"} {
		if err := gmssql.SystemVariables.AssignValues(map[string]any{name: value}); err != nil {
			return fmt.Errorf("set variable %s: %w", name, err)
		}
	}
	return nil
}

// initialize makes the accounts, the database and what the init scripts make.
func (i *instance) initialize(ctx context.Context) error {
	root := i.sys.Getenv("MYSQL_ROOT_PASSWORD")
	if root == "" && i.sys.Getenv("MYSQL_ALLOW_EMPTY_PASSWORD") == "" {
		return errors.New("database is uninitialized and password option is not specified: set MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD")
	}
	name, user, password := i.sys.Getenv("MYSQL_DATABASE"), i.sys.Getenv("MYSQL_USER"), i.sys.Getenv("MYSQL_PASSWORD")
	var script strings.Builder
	fmt.Fprintf(&script, "CREATE USER 'root'@'%%' IDENTIFIED BY %s;\nGRANT ALL ON *.* TO 'root'@'%%' WITH GRANT OPTION;\n", quote(root))
	if name != "" {
		fmt.Fprintf(&script, "CREATE DATABASE %s;\n", quoteName(name))
	}
	if user != "" {
		fmt.Fprintf(&script, "CREATE USER %s@'%%' IDENTIFIED BY %s;\n", quote(user), quote(password))
		if name != "" {
			fmt.Fprintf(&script, "GRANT ALL ON %s.* TO %s@'%%';\n", quoteName(name), quote(user))
		}
	}
	if err := i.execute(ctx, "", script.String()); err != nil {
		return err
	}
	entries, err := i.sys.Files.ReadDir(initDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // The directory is not mounted: there are no scripts.
	}
	if err != nil {
		return fmt.Errorf("list initial scripts: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".sql") {
			continue
		}
		file := path.Join(initDir, entry.Name())
		text, err := program.ReadFile(i.sys.Files, file)
		if err != nil {
			return err
		}
		if err := i.execute(ctx, name, string(text)); err != nil {
			return fmt.Errorf("run %s: %w", file, err)
		}
		i.log.Info("[Entrypoint]: running", "file", file)
	}
	return nil
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// serve accepts clients until ctx ends.
func (i *instance) serve(ctx context.Context) error {
	listener, err := i.sys.Net.Listen(ctx, "tcp", ":"+i.env("MYSQL_TCP_PORT", sql.Port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := i.sys.Net.Listen(ctx, "tcp", ":"+i.env("METRICS_PORT", sql.MetricsPort))
	if err != nil {
		return errors.Join(fmt.Errorf("listen for metrics: %w", err), listener.Close())
	}
	cfg := server.Config{
		Protocol: "tcp", Listener: listener, Version: sql.Version, MaxConnections: maxConnections, ConnWriteTimeout: writeTimeout, AllowClearTextWithoutTLS: true,
		ProtocolListenerFactory: strictListener, Options: []server.Option{i.intercept},
	}
	srv, err := server.NewServer(cfg, i.engine, gmssql.NewContext, i.sessions.build, nil)
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	web := &http.Server{Handler: promhttp.HandlerFor(i.registry(), promhttp.HandlerOpts{}), ReadHeaderTimeout: 2 * time.Second}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := srv.Start(); err != nil && groupCtx.Err() == nil {
			return fmt.Errorf("serve: %w", err)
		}
		if groupCtx.Err() == nil {
			return errors.New("serve: the listener was closed")
		}
		return nil
	})
	group.Go(func() error {
		if err := web.Serve(admin); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve metrics: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-groupCtx.Done()
		return errors.Join(ignoreClosed(srv.Close()), ignoreClosed(listener.Close()), web.Close())
	})
	i.log.Info("ready for connections.", "version", sql.Version, "port", i.env("MYSQL_TCP_PORT", sql.Port))
	err = group.Wait()
	i.log.Info("Shutdown complete")
	return err
}

func (i *instance) env(name, fallback string) string {
	if v := i.sys.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// internalUser runs the statements of the server itself. It cannot log in.
const internalUser = "mysql.session"

// context returns a context of the server itself.
func (i *instance) context(ctx context.Context, db string) *gmssql.Context {
	base := gmssql.NewBaseSessionWithClientServer("", gmssql.Client{User: internalUser, Address: "localhost"}, 0)
	base.SetCurrentDatabase(db)
	return gmssql.NewContext(ctx, gmssql.WithSession(i.store.NewSession(base, nil)), gmssql.WithServices(gmssql.Services{}))
}

// execute runs the statements of a script.
func (i *instance) execute(ctx context.Context, db, script string) error {
	c := i.context(ctx, db)
	for rest := script; strings.TrimSpace(skipSpace(rest)) != ""; {
		_, text, after, err := i.engine.Parser.Parse(c, rest, true)
		if err != nil {
			return fmt.Errorf("parse statement: %w", err)
		}
		if text == "" {
			text = rest
		}
		if _, err := i.query(c, text); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// query runs one statement and returns its rows.
func (i *instance) query(c *gmssql.Context, text string) (rows []gmssql.Row, err error) {
	session, ok := c.Session.(*engine.Session)
	if !ok {
		return nil, fmt.Errorf("run statement: the session is a %T", c.Session)
	}
	defer func() { session.End(err != nil) }()
	_, iter, _, err := i.engine.Query(c, text)
	if err != nil {
		return nil, fmt.Errorf("run statement %q: %w", text[:min(len(text), 80)], err)
	}
	for {
		row, err := iter.Next(c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("run statement %q: %w", text[:min(len(text), 80)], errors.Join(err, iter.Close(c)))
		}
		rows = append(rows, slices.Clone(row))
	}
	return rows, iter.Close(c)
}
