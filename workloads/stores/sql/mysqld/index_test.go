package mysqld

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndexesAnswerAsScansDo asks the same random questions of a table with indexes and of one without.
func TestIndexesAnswerAsScansDo(t *testing.T) {
	s := start(t, t.TempDir())
	app := s.app()
	exec(t, app,
		"CREATE TABLE fast (a INT, b VARCHAR(8), c DOUBLE, d DATE, PRIMARY KEY (a, b), KEY c (c), KEY dc (d, c), KEY b (b(2)))",
		"CREATE TABLE slow (a INT, b VARCHAR(8), c DOUBLE, d DATE)")
	rng := rand.New(rand.NewPCG(3, 4))
	value := func(list ...string) string { return list[rng.IntN(len(list))] }
	a := func() string { return fmt.Sprint(rng.IntN(12)) }
	b := func() string {
		return "'" + value("", "x", "xy", "xyz", "y", "Y", "ü") + fmt.Sprint(rng.IntN(4)) + "'"
	}
	c := func() string { return value("1.5e0", "-2e0", "0e0", "7.25e0", "3e0") }
	d := func() string { return value("'2030-01-01'", "'2030-01-02'", "'2031-05-05'") }
	null := func(v string) string {
		if rng.IntN(5) == 0 {
			return "NULL"
		}
		return v
	}
	seen := map[string]bool{}
	for range 150 {
		va, vb := a(), b()
		if seen[va+vb] {
			continue
		}
		seen[va+vb] = true
		row := strings.Join([]string{va, vb, null(c()), null(d())}, ", ")
		exec(t, app, "INSERT INTO fast VALUES ("+row+")", "INSERT INTO slow VALUES ("+row+")")
	}
	operator := func() string { return value("=", "<", "<=", ">", ">=", "<>", "<=>") }
	term := func() string {
		switch rng.IntN(9) {
		case 0:
			return "a IN (" + a() + ", " + a() + ", " + a() + ")"
		case 1:
			return "c BETWEEN " + c() + " AND " + c()
		case 2:
			return value("c", "d") + value(" IS NULL", " IS NOT NULL")
		case 3:
			return "b " + operator() + " " + b()
		case 4:
			return "b LIKE 'x%'"
		case 5:
			return "c " + operator() + " " + c()
		case 6:
			return "d " + operator() + " " + d()
		}
		return "a " + operator() + " " + a()
	}
	ask := func(table, where string) []string {
		rows, err := app.Query("SELECT CONCAT_WS('|', a, b, IFNULL(c, 'null'), IFNULL(d, 'null')) FROM " + table + " WHERE " + where)
		require.NoError(t, err, where)
		defer rows.Close()
		var out []string
		for rows.Next() {
			var v string
			require.NoError(t, rows.Scan(&v))
			out = append(out, v)
		}
		require.NoError(t, rows.Err())
		return out
	}
	check := func(n int) {
		found := 0
		for range n {
			where := term()
			for range rng.IntN(3) {
				where = "(" + where + value(" AND ", " OR ") + term() + ")"
			}
			want := ask("slow", where)
			found += len(want)
			require.ElementsMatch(t, want, ask("fast", where), where)
		}
		require.Positive(t, found)
	}
	check(150)
	for range 25 {
		where := term()
		change := value("UPDATE %s SET c = c + 1 WHERE ", "UPDATE %s SET d = '2032-01-01' WHERE ", "DELETE FROM %s WHERE a < 3 AND ") + where
		exec(t, app, strings.Replace(change, "%s", "fast", 1), strings.Replace(change, "%s", "slow", 1))
	}
	check(100)
}
