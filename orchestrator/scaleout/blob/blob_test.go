package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "plan.json", "tries/0/1-infra_error-gameday-0-x7k2p.tar.gz", "20260102T030405Z-smoke-1a2b3c/x"} {
		require.NoError(t, blob.CheckKey(good), good)
	}
	for _, bad := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", ".a", "a b", "a?b", "ä", strings.Repeat("a", 513)} {
		require.ErrorIs(t, blob.CheckKey(bad), blob.ErrRefused, bad)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	data := []byte("hello\n")
	require.Equal(t, "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", blob.Digest(data))
	require.NoError(t, blob.Verify("k", data, blob.Digest(data)))
	require.ErrorIs(t, blob.Verify("k", data, ""), blob.ErrCorrupt)
}

// steppingClock is a clock whose timers fire at once and move the time on.
type steppingClock struct {
	*clocktesting.FakeClock
	slept *[]time.Duration
}

func (c steppingClock) NewTimer(d time.Duration) clock.Timer {
	timer := c.FakeClock.NewTimer(d)
	c.Step(d)
	*c.slept = append(*c.slept, d)
	return timer
}

func TestPatiently(t *testing.T) {
	t.Parallel()
	away := errors.New("out of reach")
	for name, tc := range map[string]struct {
		answers []error // the last one again and again
		want    error
		calls   int
	}{
		"at once":      {[]error{nil}, nil, 1},
		"after a time": {[]error{away, away, nil}, nil, 3},
		"for good":     {[]error{away, fmt.Errorf("get: %w", fs.ErrNotExist)}, fs.ErrNotExist, 2},
		"refused":      {[]error{blob.ErrRefused}, blob.ErrRefused, 1},
		"patience":     {[]error{away}, away, 7}, // after 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 25.5 of 30 seconds
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var slept []time.Duration
			clk := steppingClock{clocktesting.NewFakeClock(time.Unix(0, 0)), &slept}
			calls := 0
			err := blob.Patiently(t.Context(), clk, 30*time.Second, func(context.Context) error {
				calls++
				return tc.answers[min(calls, len(tc.answers))-1]
			})
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, tc.calls, calls)
			require.Len(t, slept, calls-1)
		})
	}
}

func TestPatientlyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop, away := errors.New("stop"), errors.New("out of reach")
	calls := 0
	err := blob.Patiently(ctx, clocktesting.NewFakeClock(time.Unix(0, 0)), time.Hour, func(context.Context) error {
		calls++
		go cancel(stop)
		return away
	})
	require.ErrorIs(t, err, away)
	require.LessOrEqual(t, calls, 1)
}
