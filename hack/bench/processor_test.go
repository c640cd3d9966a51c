package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSteal reads two moments of a machine and says what lies between.
func TestSteal(t *testing.T) {
	t.Parallel()
	const rest = "\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n"
	before, err := parseProcessor("cpu  1000 10 200 5000 40 3 7 50 900 9" + rest)
	require.NoError(t, err)
	after, err := parseProcessor("cpu  1100 20 230 5100 90 13 17 150 990 9" + rest)
	require.NoError(t, err)
	spent := after.since(before)
	// User, nice, system, irq and softirq work; idle and iowait do not; guest is in user.
	require.Equal(t, processor{busy: 1600 * time.Millisecond, stolen: time.Second, all: 4100 * time.Millisecond}, spent)
	require.Equal(t, "steal 24.4 %", spent.steal())
	require.Equal(t, "steal unknown", before.since(before).steal())
	require.InDelta(t, 0.8, outcome{took: 2 * time.Second, processor: spent}.cores(), 1e-9)

	for _, text := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 x 4 5 6 7 8"} {
		_, err := parseProcessor(text)
		require.Error(t, err, text)
	}
}
