package sql

import (
	"database/sql"
	"fmt"
	"io"
	"strings"
)

// print writes a result as mysql does: tabs in batch mode, boxes with -t, one line per column with \G.
func (o options) print(w io.Writer, rows *sql.Rows, vertical bool) error {
	names, err := rows.Columns()
	if err != nil || len(names) == 0 {
		return err
	}
	var lines [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		line := make([]string, len(names))
		for i, v := range values {
			if line[i] = v.String; !v.Valid {
				line[i] = "NULL"
			}
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	switch {
	case vertical:
		printVertical(w, names, lines)
	case o.table:
		printTable(w, names, lines)
	case len(lines) > 0:
		if !o.noNames {
			lines = append([][]string{names}, lines...)
		}
		escape := strings.NewReplacer("\\", `\\`, "\n", `\n`, "\t", `\t`)
		for _, line := range lines {
			for i := range line {
				line[i] = escape.Replace(line[i])
			}
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
	}
	return nil
}

func printVertical(w io.Writer, names []string, lines [][]string) {
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	stars := strings.Repeat("*", 27)
	for i, line := range lines {
		fmt.Fprintf(w, "%s %d. row %s\n", stars, i+1, stars)
		for k, v := range line {
			fmt.Fprintf(w, "%*s: %s\n", width, names[k], v)
		}
	}
}

func printTable(w io.Writer, names []string, lines [][]string) {
	widths := make([]int, len(names))
	for _, line := range append([][]string{names}, lines...) {
		for i, v := range line {
			widths[i] = max(widths[i], len(v))
		}
	}
	rule := "+"
	for _, n := range widths {
		rule += strings.Repeat("-", n+2) + "+"
	}
	row := func(line []string) {
		out := "|"
		for i, v := range line {
			out += fmt.Sprintf(" %-*s |", widths[i], v)
		}
		fmt.Fprintln(w, out)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, rule)
	row(names)
	fmt.Fprintln(w, rule)
	for _, line := range lines {
		row(line)
	}
	fmt.Fprintln(w, rule)
}
