package mysqld

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkStatements measures the statements of a typical service, from the client's side.
func BenchmarkStatements(b *testing.B) {
	s := start(b, b.TempDir())
	app := s.app()
	var rows []string
	for i := range 80 {
		rows = append(rows, fmt.Sprintf("('%d', %f, %f)", i, 37.7+float64(i)/1000, -122.4+float64(i)/1000))
	}
	exec(b, app, "CREATE TABLE point (id VARCHAR(16) PRIMARY KEY, lat DOUBLE, lon DOUBLE)", "INSERT INTO point VALUES "+strings.Join(rows, ","),
		"CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, who VARCHAR(20), UNIQUE KEY (who))")
	read := func(b *testing.B, query string, args ...any) {
		b.Helper()
		r, err := app.Query(query, args...)
		require.NoError(b, err)
		for r.Next() {
			var id string
			var lat, lon float64
			require.NoError(b, r.Scan(&id, &lat, &lon))
		}
		require.NoError(b, r.Err())
	}
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			read(b, "SELECT id, lat, lon FROM point WHERE id = ?", "7")
		}
	})
	b.Run("keys", func(b *testing.B) {
		for b.Loop() {
			read(b, "SELECT id, lat, lon FROM point WHERE id IN (?,?,?,?,?)", "7", "8", "9", "10", "11")
		}
	})
	b.Run("box", func(b *testing.B) {
		for b.Loop() {
			read(b, "SELECT id, lat, lon FROM point WHERE lat BETWEEN 3.77e1 AND 3.78e1 AND lon BETWEEN -1.23e2 AND -1.22e2")
		}
	})
	b.Run("transaction", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			transact(b, app, fmt.Sprint(b.N, "-", n))
		}
	})
}

func transact(b *testing.B, app *sql.DB, who string) {
	b.Helper()
	tx, err := app.Begin()
	require.NoError(b, err)
	_, err = tx.Exec("INSERT INTO log (who) VALUES (?)", who)
	require.NoError(b, err)
	_, err = tx.Exec("UPDATE point SET lat = lat + 1 WHERE id = '5'")
	require.NoError(b, err)
	require.NoError(b, tx.Commit())
}
