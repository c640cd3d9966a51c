package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/render"
)

func TestSortBy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ cells, want string }{
		"numbers":           {"10 9 100 9.5 -1", "-1 9 9.5 10 100"},
		"numbers and none":  {"10 - 9", "- 9 10"},
		"shares":            {"10/12 9/12 9/9", "9/9 9/12 10/12"},
		"durations":         {"1m30s 2s 1h 500ms", "500ms 2s 1m30s 1h"},
		"texts":             {"b a10 a9", "a10 a9 b"},
		"texts and numbers": {"b 10 9", "10 9 b"},
		"times":             {"2026-01-02T03:04:05Z 2025-12-31T00:00:00Z", "2025-12-31T00:00:00Z 2026-01-02T03:04:05Z"},
		"equal stay":        {"1.0 1 1.00 0", "0 1.0 1 1.00"},
		"nothing but none":  {"- -", "- -"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cells := strings.Fields(tc.cells)
			l := render.List{Columns: columns("value"), Items: cells}
			for _, cell := range cells {
				l.Rows = append(l.Rows, []string{cell})
			}
			f := &getFlags{sortBy: "VALUE"}
			sorted, err := f.apply(source{}, l, nil)
			require.NoError(t, err)
			var got []string
			for i, row := range sorted.Rows {
				got = append(got, row[0])
				require.Equal(t, any(row[0]), sorted.Items.([]any)[i], "items stay in step")
			}
			require.Equal(t, tc.want, strings.Join(got, " "))
		})
	}
}
