package mysqld

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// plain returns one connection as a service has it: its statements come one by one.
func (s *testStore) plain(user, password, name string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%s)/%s?interpolateParams=true", user, password, s.port, name))
	require.NoError(s.t, err)
	db.SetMaxOpenConns(1)
	s.t.Cleanup(func() { db.Close() })
	return db
}

// long returns a connection whose statements all go through go-mysql-server: a variable is not what it was.
func (s *testStore) long(user, password, name string) *sql.DB {
	db := s.plain(user, password, name)
	exec(s.t, db, "SET time_zone = '+00:00'")
	return db
}

// reads requires that so many of the statements that f runs do not go through go-mysql-server.
func (s *testStore) reads(want int64, f func()) {
	s.t.Helper()
	before := s.instance.reads.answered.Load()
	f()
	require.Equal(s.t, want, s.instance.reads.answered.Load()-before)
}

// querier is a database, a transaction or a connection.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// answer is all that a client sees of an answer: its columns with their types, and its rows, or the error.
func answer(t testing.TB, db querier, query string) string {
	t.Helper()
	rows, err := db.Query(query)
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return fmt.Sprintf("error %d (%s): %s", my.Number, my.SQLState[:], my.Message)
	}
	require.NoError(t, err, query)
	defer rows.Close()
	var b strings.Builder
	columns, err := rows.ColumnTypes()
	require.NoError(t, err)
	for _, c := range columns {
		nullable, known := c.Nullable()
		length, hasLength := c.Length()
		precision, scale, isDecimal := c.DecimalSize()
		fmt.Fprintln(&b, c.Name(), c.DatabaseTypeName(), nullable, known, length, hasLength, precision, scale, isDecimal)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		fmt.Fprintln(&b, values)
	}
	require.NoError(t, rows.Err(), query)
	return b.String()
}

// TestReadsAnswerAsTheEngineDoes asks the same random questions in both ways while the data change.
func TestReadsAnswerAsTheEngineDoes(t *testing.T) {
	s := start(t, t.TempDir())
	app, long, other := s.plain("app", "secret", "shop"), s.long("app", "secret", "shop"), s.app()
	exec(t, app, "CREATE TABLE point (hotel_id VARCHAR(16) NOT NULL PRIMARY KEY, lat DOUBLE NOT NULL, lon DOUBLE)",
		"CREATE TABLE night (hotel_id VARCHAR(16) NOT NULL, night CHAR(10) NOT NULL, capacity INT NOT NULL, booked INT, PRIMARY KEY (hotel_id, night), KEY (booked))")
	rng := rand.New(rand.NewPCG(5, 6))
	hotel := func() string { return []string{"", "1", "10", "2", "A", "a", "b c"}[rng.IntN(7)] }
	night := func() string { return fmt.Sprintf("2030-01-%02d", 1+rng.IntN(9)) }
	lat := func() string { return fmt.Sprintf("%e", 37+float64(rng.IntN(20))/8) }
	lon := func() string { return fmt.Sprintf("%e", -122-float64(rng.IntN(20))/8) }
	early := func() string { return fmt.Sprintf("2030-01-%02d", 1+rng.IntN(4)) }
	late := func() string { return fmt.Sprintf("2030-01-%02d", 5+rng.IntN(5)) }
	null := func(v string) string {
		if rng.IntN(6) == 0 {
			return "NULL"
		}
		return v
	}
	for range 60 {
		exec(t, other, fmt.Sprintf("INSERT IGNORE INTO point VALUES ('%s', %s, %s)", hotel()+fmt.Sprint(rng.IntN(9)), lat(), null(lon())),
			fmt.Sprintf("INSERT IGNORE INTO night VALUES ('%s', '%s', %d, %s)", hotel(), night(), rng.IntN(9), null("3")))
	}
	questions := []func() string{
		func() string {
			return fmt.Sprintf("SELECT hotel_id, lat, lon FROM point WHERE lat BETWEEN %s AND %s AND lon BETWEEN %s AND %s", lat(), lat(), lon(), lon())
		},
		func() string {
			return fmt.Sprintf("SELECT lon, lat AS north FROM point WHERE (lat > %s) AND lon <= %s ORDER BY hotel_id", lat(), lon())
		},
		func() string {
			return fmt.Sprintf("select lat from point where lat = %s and lon < %s and lat >= %s", lat(), lon(), lat())
		},
		func() string { return fmt.Sprintf("SELECT * FROM point WHERE hotel_id = '%s1'", hotel()) },
		func() string {
			return fmt.Sprintf("SELECT lon FROM point WHERE hotel_id IN ('%s1', '%s2', '%s3')", hotel(), hotel(), hotel())
		},
		func() string { return "SELECT hotel_id, lat, lon FROM point ORDER BY hotel_id" },
		func() string {
			return fmt.Sprintf("SELECT hotel_id, night, capacity - booked FROM night WHERE hotel_id IN ('%s', '%s') ORDER BY hotel_id, night", hotel(), hotel())
		},
		func() string {
			return fmt.Sprintf("SELECT capacity - booked AS free, booked FROM night WHERE hotel_id = '%s' AND night >= '%s' AND night < '%s' FOR UPDATE", hotel(), early(), late())
		},
		func() string {
			return fmt.Sprintf("SELECT capacity FROM night WHERE hotel_id = '%s' AND night BETWEEN '%s' AND '%s'", hotel(), early(), late())
		},
		func() string { return fmt.Sprintf("SELECT night FROM night WHERE hotel_id >= '%s'", hotel()) },
		func() string { return fmt.Sprintf("SELECT hotel_id FROM night WHERE night = '%s'", night()) },
		func() string {
			return fmt.Sprintf("SELECT booked FROM night WHERE night IN ('%s', '%s') AND hotel_id IN ('%s', '%s')", night(), night(), hotel(), hotel())
		},
	}
	asked, before := 0, s.instance.reads.answered.Load()
	for round := range 40 {
		for _, question := range questions {
			q := question()
			asked++
			require.Equal(t, answer(t, long, q), answer(t, app, q), q)
		}
		if round%3 == 0 {
			exec(t, other, fmt.Sprintf("UPDATE night SET booked = booked + 1 WHERE hotel_id = '%s'", hotel()), fmt.Sprintf("DELETE FROM point WHERE hotel_id = '%s1'", hotel()),
				fmt.Sprintf("INSERT IGNORE INTO point VALUES ('%s1', %s, %s)", hotel(), lat(), lon()))
		}
	}
	require.EqualValues(t, asked-len(questions), s.instance.reads.answered.Load()-before, "all but the first of each shape are reads")
}

// TestStatementsThatAreNoReads are answered, by go-mysql-server.
func TestStatementsThatAreNoReads(t *testing.T) {
	s := start(t, t.TempDir())
	app, long := s.plain("app", "secret", "shop"), s.long("app", "secret", "shop")
	exec(t, app, "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, n INT, d DOUBLE, c VARCHAR(8) COLLATE utf8mb4_0900_ai_ci, KEY (d))",
		"INSERT INTO t VALUES ('x', 1, 1.5, 'ä'), ('y', 2, NULL, 'B'), ('it''s', 3, 2.5, NULL)", "CREATE VIEW v AS SELECT id, d FROM t")
	for _, q := range []string{
		"SELECT n FROM t WHERE id = 'it\\'s'", "SELECT n FROM t WHERE id = 'it''s'", "SELECT n FROM t WHERE n = 2", "SELECT id FROM t WHERE d > 1e0",
		"SELECT id FROM t WHERE c = 'b'", "SELECT id FROM t WHERE id = 'x' OR id = 'y'", "SELECT id FROM t WHERE NOT id = 'x'", "SELECT id FROM t WHERE id = 1e0",
		"SELECT id FROM t WHERE id = 'x' LIMIT 1", "SELECT COUNT(*) FROM t", "SELECT DISTINCT n FROM t", "SELECT id FROM t ORDER BY id DESC", "SELECT id FROM t ORDER BY n",
		"SELECT a.id FROM t a WHERE a.id = 'x'", "SELECT id FROM v WHERE id = 'x'", "SELECT id FROM t, (SELECT 1) AS u WHERE id = 'x'", "SELECT UPPER(id) FROM t WHERE id = 'x'",
		"SELECT id FROM t WHERE id = 'x' /* y */", "SELECT `id` FROM t WHERE id = 'x'", "SELECT id FROM t WHERE id LIKE 'x'", "SELECT id FROM t WHERE id = 'x' 'y'",
		"SELECT d + n FROM t", "SELECT 'x' FROM t", "SELECT nothing FROM t WHERE id = 'x'", "SELECT id FROM nothing WHERE id = 'x'", "SELECT id FROM t WHERE id = x'78'",
		"SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'", "SELECT id FROM t WHERE", "SELECT FOUND_ROWS()", "SELECT 1e0",
	} {
		s.reads(0, func() {
			for range 3 {
				require.Equal(t, answer(t, long, q), answer(t, app, q), q)
			}
		})
	}
}

func TestReadsAskForRights(t *testing.T) {
	s := start(t, t.TempDir())
	root, app := s.root(), s.plain("app", "secret", "shop")
	exec(t, root, "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, d DOUBLE)", "INSERT INTO t VALUES ('x', 1.5)", "CREATE TABLE u (id VARCHAR(8) PRIMARY KEY)",
		"CREATE USER 'eve'@'%' IDENTIFIED BY 'e'", "CREATE USER 'bob'@'%' IDENTIFIED BY 'b'", "GRANT SELECT ON shop.u TO 'bob'@'%'")
	const q = "SELECT d FROM t WHERE id = 'x'"
	allowed := answer(t, app, q)
	require.Contains(t, allowed, "1.5")
	s.reads(1, func() { require.Equal(t, allowed, answer(t, app, q)) })

	exec(t, root, "REVOKE SELECT ON shop.* FROM 'app'@'%'")
	refused := answer(t, app, q)
	require.Contains(t, refused, "error 1142", "a statement that is known is refused as soon as the grant is gone")
	require.Equal(t, answer(t, s.long("app", "secret", "shop"), q), refused)
	exec(t, root, "GRANT SELECT ON shop.* TO 'app'@'%'")
	s.reads(1, func() { require.Equal(t, allowed, answer(t, app, q), "and answered again when it is back") })
	exec(t, root, "REVOKE ALL ON shop.* FROM 'app'@'%'")
	require.Contains(t, answer(t, app, q), "error 1044")
	exec(t, root, "GRANT SELECT ON shop.t TO 'app'@'%'")
	require.Equal(t, allowed, answer(t, app, q), "the right may be for the table alone")

	const qualified = "SELECT d FROM shop.t WHERE id = 'x'"
	for range 3 {
		require.Equal(t, allowed, answer(t, s.plain("root", "it's", ""), qualified))
	}
	require.Contains(t, answer(t, s.plain("eve", "e", ""), qualified), "error 1044", "what one user asked is not another's to read")
	require.Equal(t, answer(t, s.long("bob", "b", "shop"), q), answer(t, s.plain("bob", "b", "shop"), q))
	exec(t, root, "DROP USER 'app'@'%'")
	require.Contains(t, answer(t, app, q), "error 1045")
}

func TestReadsFollowDefinitions(t *testing.T) {
	s := start(t, t.TempDir())
	root, app, long := s.root(), s.plain("app", "secret", "shop"), s.long("app", "secret", "shop")
	exec(t, root, "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, a DOUBLE)", "INSERT INTO t VALUES ('x', 1.5)")
	questions := []string{"SELECT * FROM t WHERE id = 'x'", "SELECT a FROM t WHERE id = 'x'", "SELECT id FROM t WHERE a < 1e1"}
	for _, change := range []string{
		"", "ALTER TABLE t ADD COLUMN b INT DEFAULT 7 FIRST", "ALTER TABLE t RENAME COLUMN a TO c", "ALTER TABLE t RENAME COLUMN c TO a", "CREATE INDEX i ON t (a)",
		"ALTER TABLE t MODIFY COLUMN a VARCHAR(8)", "DROP TABLE t", "CREATE TABLE t (a DOUBLE, id VARCHAR(8) PRIMARY KEY)", "INSERT INTO t VALUES (2.5, 'x')",
		"RENAME TABLE t TO u", "CREATE VIEW t AS SELECT 'view' AS id, 3e0 AS a", "DROP VIEW t", "RENAME TABLE u TO t", "TRUNCATE TABLE t",
	} {
		if change != "" {
			exec(t, root, change)
		}
		for range 3 {
			for _, q := range questions {
				require.Equal(t, answer(t, long, q), answer(t, app, q), "%s; %s", change, q)
			}
		}
	}
}

func TestReadsKeepDatabasesApart(t *testing.T) {
	s := start(t, t.TempDir())
	exec(t, s.root(), "CREATE DATABASE other", "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, d DOUBLE)", "INSERT INTO t VALUES ('x', 1.5)",
		"CREATE TABLE other.t (d VARCHAR(8), id VARCHAR(8) PRIMARY KEY)", "INSERT INTO other.t VALUES ('two', 'x')")
	shop, other := s.plain("root", "it's", "shop"), s.plain("root", "it's", "other")
	const q = "SELECT d FROM t WHERE id = 'x'"
	for range 3 {
		require.Contains(t, answer(t, shop, q), "1.5")
		require.Contains(t, answer(t, other, q), "two")
	}
	exec(t, shop, "USE other")
	s.reads(2, func() { require.Equal(t, answer(t, other, q), answer(t, shop, q)) })
}

func TestReadsAreOfTheirTransaction(t *testing.T) {
	s := start(t, t.TempDir())
	app, other := s.plain("app", "secret", "shop"), s.app()
	exec(t, other, "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, n INT, d DOUBLE)", "INSERT INTO t VALUES ('x', 1, 1e0)")
	const q, all = "SELECT n FROM t WHERE id = 'x'", "SELECT n FROM t WHERE d < 2e0"
	last := func(db querier, query string) string {
		lines := strings.Split(strings.TrimSpace(answer(t, db, query)), "\n")
		return lines[len(lines)-1]
	}
	for range 3 {
		require.Equal(t, last(app, q), last(app, all))
	}
	tx, err := app.Begin()
	require.NoError(t, err)
	s.reads(10, func() {
		require.Contains(t, last(tx, q), "{1 true}")
		exec(t, other, "UPDATE t SET n = 2")
		require.Contains(t, last(tx, q), "{1 true}", "the snapshot is stable")
		require.Contains(t, last(tx, all), "{1 true}")
		exec(t, tx, "UPDATE t SET n = n + 10")
		require.Contains(t, last(tx, q), "{12 true}", "a session sees its own changes")
		require.Contains(t, last(tx, all), "{12 true}")
		exec(t, tx, "UPDATE t SET n = n + 10")
		require.Contains(t, last(tx, all), "{22 true}")
		require.Contains(t, last(tx, all), "{22 true}")
		require.NoError(t, tx.Rollback())
		require.Contains(t, last(app, all), "{2 true}")
		require.Contains(t, last(app, q), "{2 true}")
		require.Contains(t, last(app, all), "{2 true}")
	})

	// A locking read waits for those who write and keeps them out.
	const locking = q + " FOR UPDATE"
	require.Contains(t, last(app, locking), "{2 true}")
	tx, err = app.Begin()
	require.NoError(t, err)
	s.reads(1, func() { require.Contains(t, last(tx, locking), "{2 true}") })
	impatient, err := other.Conn(t.Context())
	require.NoError(t, err)
	_, err = impatient.ExecContext(t.Context(), "SET innodb_lock_wait_timeout = 1")
	require.NoError(t, err)
	_, err = impatient.ExecContext(t.Context(), "UPDATE t SET n = 3")
	require.ErrorContains(t, err, "Lock wait timeout exceeded")
	require.NoError(t, tx.Commit())
	_, err = impatient.ExecContext(t.Context(), "UPDATE t SET n = 3")
	require.NoError(t, err)
	s.reads(1, func() { require.Contains(t, last(app, q), "{3 true}") })
}

// TestReadsLeaveTheirMarks: what a session and the server know of their statements does not depend on the way.
func TestReadsLeaveTheirMarks(t *testing.T) {
	s := start(t, t.TempDir())
	exec(t, s.root(), "CREATE TABLE t (id VARCHAR(8) PRIMARY KEY, d DOUBLE)", "INSERT INTO t VALUES ('a', 1.5), ('b', 2.5), ('c', 3.5)")
	const q = "SELECT id FROM t WHERE d < 3e0"
	marks := func(db *sql.DB) []string {
		var all []string
		for range 3 {
			all = append(all, answer(t, db, "SELECT CAST('x' AS SIGNED)"), answer(t, db, q), answer(t, db, "SHOW WARNINGS"), answer(t, db, q), answer(t, db, "SELECT FOUND_ROWS()"))
		}
		all = append(all, answer(t, db, q), answer(t, db, "SELECT ROW_COUNT()"), answer(t, db, "SHOW SESSION STATUS LIKE 'Com_select'"))
		// The other connections are asleep, and this one shows its own statement.
		return append(all, answer(t, db, "SELECT command, info FROM information_schema.processlist WHERE command <> 'Sleep' ORDER BY command"))
	}
	long := marks(s.long("app", "secret", "shop"))
	// The first is understood. After SHOW WARNINGS a transaction of the engine's own is left until the next statement, which goes the long way.
	s.reads(3, func() { require.Equal(t, long, marks(s.plain("app", "secret", "shop"))) })
	var name string
	var before, after int
	app := s.plain("app", "secret", "shop")
	count := func(n *int) { require.NoError(t, app.QueryRow("SHOW SESSION STATUS LIKE 'Questions'").Scan(&name, n)) }
	count(&before)
	s.reads(1, func() { answer(t, app, q) })
	count(&after)
	require.Equal(t, before+2, after)
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]constant{
		"SELECT a FROM t": nil,
		"select a, b from t where a = 'x' and b<-1.5e+02":         {{text: "x"}, {"1.5e+02", true}},
		"SELECT a FROM t WHERE a IN ('x', '')":                    {{text: "x"}, {text: ""}},
		"SELECT a1 FROM t2 WHERE a1 BETWEEN 1E3 AND 2e-3":         {{"1E3", true}, {"2e-3", true}},
		"SELECT a - 1.5 FROM t WHERE a = 'x' ORDER BY b":          {{text: "x"}},
		"SELECT a FROM t WHERE a = 'where; -- ?' FOR UPDATE":      {{text: "where; -- ?"}},
		"SELECT a FROM t\n\tWHERE somewhere = '1' AND a.b >= '2'": {{text: "1"}, {text: "2"}},
	} {
		var s shape
		require.True(t, s.of("db", query), query)
		require.Equal(t, want, append([]constant(nil), s.constants...), query)
	}
	for _, query := range []string{
		"", "SELECT", "INSERT INTO t VALUES (1)", "SELECT 'a' FROM t", "SELECT a FROM t WHERE a = 1", "SELECT a FROM t WHERE a = 1.5", "SELECT a FROM t WHERE a = 'x",
		"SELECT a FROM t WHERE a = 'x''y'", `SELECT a FROM t WHERE a = 'x\'y'`, `SELECT a FROM t WHERE a = "x"`, "SELECT a FROM t WHERE a = 'ü'", "SELECT a FROM t; SELECT 1",
		"SELECT a FROM t WHERE a = ?", "SELECT @a FROM t", "SELECT a FROM t -- x", "SELECT a FROM t # x", "SELECT a /* x */ FROM t", "SELECT `a` FROM t", "SELECT a FROM t WHERE a = x'41'",
		"SELECT a FROM t WHERE a = 1e", "SELECT a FROM t WHERE a = 1e5x", "SELECT ä FROM t", "SELECT a FROM t WHERE a = 'x\x01'", "SELECT a FROM t WHERE a = 'x' LIMIT 1",
	} {
		var s shape
		require.False(t, s.of("db", query), query)
	}
	key := func(database, query string) string {
		var s shape
		require.True(t, s.of(database, query), query)
		return string(s.key)
	}
	const q = "SELECT a FROM t WHERE a = 'x'"
	require.Equal(t, key("db", q), key("db", "SELECT a FROM t WHERE a = 'other'"))
	require.NotEqual(t, key("db", q), key("other", q))
	require.NotEqual(t, key("db", q), key("db", "SELECT a FROM t WHERE a = 1e0"))
	require.NotEqual(t, key("db", q), key("db", "SELECT b FROM t WHERE a = 'x'"))
}
