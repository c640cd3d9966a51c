package mysqld

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
	store "github.com/gameday-bench/gameday/workloads/stores/sql"
)

// testStore is a running store with its own directory.
type testStore struct {
	t        testing.TB
	sys      *program.Sys
	instance *instance
	port     string
	stop     func()
}

func newSys(t testing.TB, env map[string]string, args ...string) *program.Sys {
	t.Helper()
	sys, err := program.System(&program.Image{Repository: "registry.local/library/mysql", Tags: []string{store.Version}}, args)
	require.NoError(t, err)
	sys.Env = env
	sys.Stdout, sys.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	sys.Stdin = strings.NewReader("")
	return sys
}

// start starts a store on dir. Tests that do so are not parallel: go-mysql-server has variables of the process that every
// engine sets anew.
func start(t testing.TB, dir string) *testStore {
	t.Helper()
	s := &testStore{t: t}
	s.sys = newSys(t, map[string]string{
		"DATADIR": dir, "MYSQL_ROOT_PASSWORD": "it's", "MYSQL_DATABASE": "shop", "MYSQL_USER": "app", "MYSQL_PASSWORD": "secret",
	})
	network := &programtest.Loopback{Network: s.sys.Net}
	s.sys.Net = network
	logrus.SetOutput(io.Discard)
	i := newInstance(s.sys)
	s.instance = i
	require.NoError(t, i.open(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.serve(ctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(s.stop)
	require.Eventually(t, func() bool {
		_, s.port, _ = strings.Cut(network.Address("tcp:"+store.Port), ":")
		return s.port != "" && s.db("root", "it's", "").Ping() == nil
	}, 20*time.Second, 5*time.Millisecond)
	return s
}

func (s *testStore) db(user, password, name string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%s)/%s?interpolateParams=true&multiStatements=true", user, password, s.port, name))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { db.Close() })
	return db
}

func (s *testStore) root() *sql.DB { return s.db("root", "it's", "shop") }
func (s *testStore) app() *sql.DB  { return s.db("app", "secret", "shop") }

func exec(t testing.TB, db interface {
	Exec(query string, args ...any) (sql.Result, error)
}, statements ...string) {
	t.Helper()
	for _, q := range statements {
		_, err := db.Exec(q)
		require.NoError(t, err, q)
	}
}

func one[T any](t *testing.T, db interface {
	QueryRow(query string, args ...any) *sql.Row
}, query string) T {
	t.Helper()
	var v T
	require.NoError(t, db.QueryRow(query).Scan(&v), query)
	return v
}

func number(t *testing.T, err error) uint16 {
	t.Helper()
	var my *mysql.MySQLError
	require.ErrorAs(t, err, &my)
	return my.Number
}

func TestUsersAndGrants(t *testing.T) {
	s := start(t, t.TempDir())
	root, app := s.root(), s.app()
	exec(t, root, "CREATE TABLE t (a INT PRIMARY KEY)", "CREATE DATABASE other", "CREATE TABLE other.t (a INT PRIMARY KEY)")
	exec(t, app, "INSERT INTO t VALUES (1)")
	require.EqualValues(t, 1045, number(t, s.db("app", "wrong", "shop").Ping()))
	require.EqualValues(t, 1045, number(t, s.db("nobody", "x", "").Ping()))
	_, err := app.Exec("INSERT INTO other.t VALUES (1)")
	require.EqualValues(t, 1044, number(t, err), err)
	_, err = app.Exec("CREATE USER eve")
	require.EqualValues(t, 1142, number(t, err), err)

	exec(t, root, "REVOKE ALL ON shop.* FROM 'app'@'%'")
	_, err = app.Exec("SELECT * FROM t")
	require.EqualValues(t, 1044, number(t, err), "a revoked grant is enforced on connections that are open: %v", err)
	exec(t, root, "GRANT SELECT ON shop.* TO 'app'@'%'")
	require.Equal(t, 1, one[int](t, app, "SELECT COUNT(*) FROM t"))
	_, err = app.Exec("INSERT INTO t VALUES (2)")
	require.EqualValues(t, 1142, number(t, err), err)
	exec(t, root, "GRANT ALL ON shop.* TO 'app'@'%'", "REVOKE SELECT ON `shop`.* FROM 'app'@'%'")
	exec(t, app, "INSERT INTO t VALUES (3)")
	_, err = app.Exec("SELECT a FROM t")
	require.EqualValues(t, 1142, number(t, err), err)
	require.NotRegexp(t, `(?im)^GRANT (ALL\b|([A-Z ]+, )*SELECT\b).* ON (`+"`shop`"+`|\*)\.`, one2(t, root, "SHOW GRANTS FOR 'app'@'%'"))
	exec(t, root, "REVOKE ALL ON shop.* FROM 'app'@'%'", "GRANT SELECT ON `shop`.* TO 'app'@'%'")
	require.Contains(t, one2(t, root, "SHOW GRANTS FOR 'app'@'%'"), "GRANT SELECT ON `shop`.* TO `app`@`%`")
}

func one2(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		require.NoError(t, rows.Scan(&v))
		all = append(all, v)
	}
	require.NoError(t, rows.Err())
	return strings.Join(all, "\n")
}

func TestRollback(t *testing.T) {
	s := start(t, t.TempDir())
	app := s.app()
	exec(t, app, "CREATE TABLE t (a INT PRIMARY KEY, b INT, c VARCHAR(10), KEY (b), UNIQUE KEY (c))", "INSERT INTO t VALUES (1,10,'x'),(2,20,'y'),(3,30,'z')")
	tx, err := app.Begin()
	require.NoError(t, err)
	exec(t, tx, "UPDATE t SET b = b + 1 WHERE b >= 20", "DELETE FROM t WHERE a = 1", "INSERT INTO t VALUES (4,40,'x')")
	require.Equal(t, 21+31+40, one[int](t, tx, "SELECT SUM(b) FROM t"))
	require.Equal(t, 60, one[int](t, app, "SELECT SUM(b) FROM t"), "others do not see what is not committed")
	require.NoError(t, tx.Rollback())
	require.Equal(t, 60, one[int](t, app, "SELECT SUM(b) FROM t"))
	require.Equal(t, 2, one[int](t, app, "SELECT a FROM t WHERE b = 20"))
	require.Equal(t, 1, one[int](t, app, "SELECT a FROM t WHERE c = 'x'"))

	_, err = app.Exec("INSERT INTO t VALUES (5,50,'q'),(6,60,'x')")
	require.EqualValues(t, 1062, number(t, err))
	require.Equal(t, 3, one[int](t, app, "SELECT COUNT(*) FROM t"), "a statement that fails leaves nothing")

	tx, err = app.Begin()
	require.NoError(t, err)
	exec(t, tx, "INSERT INTO t VALUES (7,70,'r')", "SAVEPOINT s", "UPDATE t SET b = 0", "ROLLBACK TO SAVEPOINT s")
	_, err = tx.Exec("INSERT INTO t VALUES (8,80,'r')")
	require.EqualValues(t, 1062, number(t, err))
	require.NoError(t, tx.Commit())
	require.Equal(t, 130, one[int](t, app, "SELECT SUM(b) FROM t"))
}

func TestSnapshotIsStable(t *testing.T) {
	s := start(t, t.TempDir())
	app := s.app()
	exec(t, app, "CREATE TABLE a (n INT PRIMARY KEY)", "CREATE TABLE b (n INT PRIMARY KEY)")
	tx, err := app.Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	require.Zero(t, one[int](t, tx, "SELECT COUNT(*) FROM a"))
	exec(t, app, "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)")
	require.Zero(t, one[int](t, tx, "SELECT COUNT(*) FROM a"))
	require.Zero(t, one[int](t, tx, "SELECT COUNT(*) FROM b"), "the snapshot is of everything")
	require.Equal(t, 1, one[int](t, tx, "SELECT COUNT(*) FROM b FOR UPDATE"), "a locking read sees the newest state")
}

// TestNoDoubleBooking books the last rooms from many clients at once.
func TestNoDoubleBooking(t *testing.T) {
	s := start(t, t.TempDir())
	app := s.app()
	const capacity, clients = 20, 60
	exec(t, app, "CREATE TABLE room (h INT PRIMARY KEY, capacity INT, booked INT)", fmt.Sprintf("INSERT INTO room VALUES (1, %d, 0)", capacity),
		"CREATE TABLE res (id BIGINT AUTO_INCREMENT PRIMARY KEY, who INT)")
	app.SetMaxOpenConns(16)
	var sold atomic.Int64
	var wait sync.WaitGroup
	book := func(who int) error {
		tx, err := app.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var free int
		if err := tx.QueryRow("SELECT capacity - booked FROM room WHERE h = 1 FOR UPDATE").Scan(&free); err != nil {
			return err
		}
		if free == 0 {
			return nil
		}
		if _, err := tx.Exec("UPDATE room SET booked = booked + 1 WHERE h = 1"); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO res (who) VALUES (?)", who); err != nil {
			return err
		}
		sold.Add(1)
		return tx.Commit()
	}
	errs := make([]error, clients)
	for i := range clients {
		wait.Go(func() { errs[i] = book(i) })
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, capacity, sold.Load())
	require.Equal(t, capacity, one[int](t, app, "SELECT booked FROM room"))
	require.Equal(t, capacity, one[int](t, app, "SELECT COUNT(DISTINCT who) FROM res"))
	require.Equal(t, capacity, one[int](t, app, "SELECT MAX(id) FROM res"))
}

func TestLockWaitTimeout(t *testing.T) {
	s := start(t, t.TempDir())
	app := s.app()
	exec(t, app, "CREATE TABLE t (a INT PRIMARY KEY)")
	tx, err := app.Begin()
	require.NoError(t, err)
	exec(t, tx, "INSERT INTO t VALUES (1)")
	impatient, err := app.Conn(t.Context())
	require.NoError(t, err)
	_, err = impatient.ExecContext(t.Context(), "SET innodb_lock_wait_timeout = 1")
	require.NoError(t, err)
	_, err = impatient.ExecContext(t.Context(), "INSERT INTO t VALUES (2)")
	require.EqualValues(t, 1205, number(t, err))
	require.NoError(t, impatient.Close())
	require.NoError(t, tx.Commit())
	exec(t, app, "INSERT INTO t VALUES (2)")

	// A connection that goes away in the middle of a transaction gives the lock back, and leaves nothing.
	lost := s.app()
	conn, err := lost.Conn(t.Context())
	require.NoError(t, err)
	for _, q := range []string{"BEGIN", "INSERT INTO t VALUES (3)"} {
		_, err = conn.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	require.ErrorIs(t, conn.Raw(func(any) error { return driver.ErrBadConn }), driver.ErrBadConn)
	exec(t, app, "INSERT INTO t VALUES (4)")
	require.Equal(t, 7, one[int](t, app, "SELECT SUM(a) FROM t"))
}

func TestDataSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	root, app := s.root(), s.app()
	exec(t, app, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, n DECIMAL(10,2), d DATETIME, s VARCHAR(20) NOT NULL DEFAULT 'x', b VARBINARY(8), UNIQUE KEY u (s))`,
		"INSERT INTO t (n, d, s, b) VALUES (1.50, '2030-01-02 03:04:05', 'one', 0xff00), (2.25, NULL, 'twö', NULL)",
		"CREATE TABLE log (line TEXT)", "INSERT INTO log VALUES ('a'), ('a'), ('b')", "DELETE FROM log WHERE line = 'b'")
	exec(t, root, "CREATE USER 'reader'@'%' IDENTIFIED BY 'r'", "GRANT SELECT ON shop.t TO 'reader'@'%'", "REVOKE ALL ON shop.* FROM 'app'@'%'")
	exec(t, root, "ALTER TABLE t ADD COLUMN more INT DEFAULT 7", "ALTER TABLE t RENAME COLUMN more TO extra", "CREATE INDEX e ON t (extra)", "UPDATE t SET extra = 8 WHERE s = 'one'")
	// The second server reads a copy of what is on the disk at this moment, while the first still runs.
	copied := t.TempDir()
	for _, name := range []string{snapshotFile, logFile, privilegesFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if name == logFile {
			data = append(data, []byte(`{"changes":[{"db":"shop","t":"t","r":[`)...)
		}
		require.NoError(t, os.WriteFile(filepath.Join(copied, name), data, 0o600))
	}
	s.stop()
	again := start(t, copied)
	db := again.root()
	var n, d, text, b, extra string
	require.NoError(t, db.QueryRow("SELECT n, d, s, HEX(b), extra FROM t WHERE s = 'one'").Scan(&n, &d, &text, &b, &extra))
	require.Equal(t, []string{"1.50", "2030-01-02 03:04:05", "one", "FF00", "8"}, []string{n, d, text, b, extra})
	require.Equal(t, 2, one[int](t, db, "SELECT COUNT(*) FROM log"))
	require.Equal(t, 1, one[int](t, db, "SELECT COUNT(*) FROM t WHERE b IS NULL AND d IS NULL AND s = 'twö'"))
	exec(t, db, "INSERT INTO t (s) VALUES ('three')")
	require.Equal(t, 3, one[int](t, db, "SELECT id FROM t WHERE s = 'three'"), "ids go on where they were")
	_, err := db.Exec("INSERT INTO t (s) VALUES ('one')")
	require.EqualValues(t, 1062, number(t, err))
	require.Equal(t, 3, one[int](t, again.db("reader", "r", "shop"), "SELECT COUNT(*) FROM t"))
	_, err = again.app().Exec("SELECT * FROM t")
	require.Error(t, err, "a grant that was revoked stays revoked")
}

func TestClient(t *testing.T) {
	s := start(t, t.TempDir())
	exec(t, s.root(), "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9))", "INSERT INTO t VALUES (1,'x'),(2,NULL)")
	run := func(args ...string) (string, string, error) {
		sys := newSys(t, map[string]string{"MYSQL_TCP_PORT": s.port}, args...)
		err := store.Client(t.Context(), sys)
		return fmt.Sprint(sys.Stdout), fmt.Sprint(sys.Stderr), err
	}
	out, _, err := run("-uroot", "-pit's", "shop", "-e", "SELECT * FROM t ORDER BY a; SELECT 1 AS one")
	require.NoError(t, err)
	require.Equal(t, "a\tb\n1\tx\n2\tNULL\none\n1\n", out)
	out, warning, err := run("--user=root", "--password=it's", "-D", "shop", "-sNe", "SELECT COUNT(*) FROM t")
	require.NoError(t, err)
	require.Equal(t, "2\n", out)
	require.Contains(t, warning, "insecure")
	out, _, err = run("-u", "root", "-pit's", "-t", "-e", "SELECT 1 AS a")
	require.NoError(t, err)
	require.Equal(t, "+---+\n| a |\n+---+\n| 1 |\n+---+\n", out)
	out, _, err = run("-uroot", "-pit's", "-e", "SHOW DATABASES")
	require.NoError(t, err)
	require.Contains(t, out, "shop")
	_, _, err = run("-uroot", "-pwrong", "-e", "SELECT 1")
	require.ErrorContains(t, err, "ERROR 1045 (28000)")
	_, _, err = run("-uroot", "-pit's", "-e", "SELECT * FROM shop.nothing")
	require.ErrorContains(t, err, "ERROR 1146 (42S02) at line 1")
	_, _, err = run("--nonsense")
	require.ErrorContains(t, err, "unknown option '--nonsense'")
}

func TestWrites(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"SELECT 1": false, "insert into t values (1)": true, "/* x */ UPDATE t SET a=1": true, "-- c\nDELETE FROM t": true, "SELECT a FROM t FOR UPDATE": true,
		"select 1; select 2 for update": false, "COMMIT": true, "BEGIN": false, "SET autocommit=0": false, "SHOW TABLES": false, "": false,
		"SELECT a FROM t LOCK IN SHARE MODE": true, "(SELECT 1)": false, "# only a comment": false,
	} {
		require.Equal(t, want, writes(query), query)
	}
}

// TestConnectionsThatSayNothing: probes connect every second and say nothing; nothing is kept of them.
func TestConnectionsThatSayNothing(t *testing.T) {
	s := start(t, t.TempDir())
	for range 20 {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", s.port))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1)) // The server has begun to greet.
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	db := s.app()
	require.NoError(t, db.Ping())
	require.NoError(t, db.Close())
	require.Eventually(t, func() bool { return s.instance.sessions.open() == 0 }, 10*time.Second, 10*time.Millisecond)
}
