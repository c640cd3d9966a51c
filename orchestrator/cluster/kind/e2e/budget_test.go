package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// budget is how long the steps may take together.
type budget struct {
	// end is when it is over; zero means never.
	end time.Time
	now func() time.Time
}

// readBudget reads GAMEDAY_E2E_DEADLINE: the second since 1970 at which the budget is over; empty and 0 mean never.
func readBudget(text string, now func() time.Time) (budget, error) {
	if text == "" {
		return budget{now: now}, nil
	}
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return budget{}, fmt.Errorf("read the deadline %q: %w", text, err)
	}
	if at == 0 {
		return budget{now: now}, nil
	}
	return budget{end: time.Unix(at, 0), now: now}, nil
}

// lacks says why something that takes about so long does not fit any more, or "".
func (b budget) lacks(estimate time.Duration) string {
	if b.end.IsZero() {
		return ""
	}
	left := max(b.end.Sub(b.now()), 0).Round(time.Second)
	if left >= estimate {
		return ""
	}
	return fmt.Sprintf("it takes about %s, and %s of the time are left", estimate, left)
}

// most is how many things of so long each fit after one of first, want at most.
func (b budget) most(first, each time.Duration, want int) int {
	if b.end.IsZero() {
		return want
	}
	left := b.end.Sub(b.now()) - first
	return max(0, min(want, int(left/each)))
}

// entry is what became of one step.
type entry struct {
	step, result string
	took         time.Duration
}

// table shows what became of the steps, one on each line.
func table(entries []entry) string {
	var b strings.Builder
	total := time.Duration(0)
	for _, e := range entries {
		fmt.Fprintf(&b, "%-22s %-10s %6.1f min\n", e.step, e.result, e.took.Minutes())
		total += e.took
	}
	fmt.Fprintf(&b, "%-22s %-10s %6.1f min\n", "all", "", total.Minutes())
	return b.String()
}

func TestBudget(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Unix(1000, 0) }
	for _, endless := range []string{"", "0"} {
		b, err := readBudget(endless, now)
		require.NoError(t, err)
		require.Empty(t, b.lacks(24*time.Hour))
		require.Equal(t, 7, b.most(time.Hour, time.Hour, 7))
	}
	b, err := readBudget("1600", now)
	require.NoError(t, err)
	require.Empty(t, b.lacks(10*time.Minute))
	require.Equal(t, "it takes about 11m0s, and 10m0s of the time are left", b.lacks(11*time.Minute))
	require.Equal(t, 3, b.most(time.Minute, 3*time.Minute, 7))
	require.Equal(t, 2, b.most(time.Minute, 3*time.Minute, 2))
	require.Zero(t, b.most(time.Hour, time.Minute, 2))
	b, err = readBudget("900", now)
	require.NoError(t, err)
	require.Equal(t, "it takes about 1s, and 0s of the time are left", b.lacks(time.Second))
	_, err = readBudget("soon", now)
	require.ErrorContains(t, err, `read the deadline "soon"`)
	require.Equal(t, "a                      passed        1.5 min\nb                      left out      0.0 min\nall                                  1.5 min\n",
		table([]entry{{"a", "passed", 90 * time.Second}, {"b", "left out", 0}}))
}
