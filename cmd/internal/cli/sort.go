package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/cmd/internal/render"
)

// compareCells returns how two rows compare in a column: as numbers, shares (3/4) or durations where all cells of the column are
// such, else as texts. Cells without a value come first.
func compareCells(l render.List, column int) func(i, j int) int {
	for _, parse := range []func(string) ([]float64, bool){number, share, duration} {
		if values, ok := parseColumn(l.Rows, column, parse); ok {
			return func(i, j int) int { return slices.Compare(values[i], values[j]) }
		}
	}
	return func(i, j int) int { return strings.Compare(l.Rows[i][column], l.Rows[j][column]) }
}

// parseColumn reads every cell; one without a value is nil, which is less than any other.
func parseColumn(rows [][]string, column int, parse func(string) ([]float64, bool)) ([][]float64, bool) {
	values := make([][]float64, len(rows))
	for i, row := range rows {
		if cell := row[column]; cell != "" && cell != "-" {
			value, ok := parse(cell)
			if !ok {
				return nil, false
			}
			values[i] = value
		}
	}
	return values, true
}

func number(cell string) ([]float64, bool) {
	v, err := strconv.ParseFloat(cell, 64)
	return []float64{v}, err == nil
}

func share(cell string) ([]float64, bool) {
	part, whole, found := strings.Cut(cell, "/")
	a, errA := strconv.Atoi(part)
	b, errB := strconv.Atoi(whole)
	return []float64{float64(a), float64(b)}, found && cmp.Or(errA, errB) == nil
}

func duration(cell string) ([]float64, bool) {
	v, err := time.ParseDuration(cell)
	return []float64{v.Seconds()}, err == nil
}
