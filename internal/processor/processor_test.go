package processor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/processor"
)

// TestSince reads two moments of a machine and says what lies between.
func TestSince(t *testing.T) {
	t.Parallel()
	const rest = "\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n"
	before, err := processor.Parse("cpu  1000 10 200 5000 40 3 7 50 900 9" + rest)
	require.NoError(t, err)
	after, err := processor.Parse("cpu  1100 20 230 5100 90 13 17 150 990 9" + rest)
	require.NoError(t, err)
	spent := after.Since(before)
	// User, nice, system, irq and softirq work; idle and iowait do not; guest is in user.
	require.Equal(t, processor.Times{Busy: 1600 * time.Millisecond, Stolen: time.Second, All: 4100 * time.Millisecond}, spent)
	steal, ok := spent.Steal()
	require.True(t, ok)
	require.InDelta(t, 0.2439, steal, 1e-4)
	require.InDelta(t, 1.5/4.1, spent.Spare(), 1e-9)

	none := before.Since(before)
	_, ok = none.Steal()
	require.False(t, ok)
	require.InDelta(t, 1, none.Spare(), 0)
}

func TestParseRefusesWhatIsNoStat(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 x 4 5 6 7 8"} {
		_, err := processor.Parse(text)
		require.Error(t, err, text)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	now, err := processor.Read()
	require.NoError(t, err)
	require.Positive(t, now.All)
}
