package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"64": 64, "64B": 64, "1K": 1 << 10, "2KB": 2 << 10, "64MB": 64 << 20, "64MiB": 64 << 20, "1.5G": 3 << 29, "1TiB": 1 << 40, "25%": 250, "0": 0,
	} {
		got, err := size(text, 1000)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MB", "-1MB", "64XB", "1.2.3", "Inf"} {
		_, err := size(text, 1000)
		require.Error(t, err, text)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	// As the daemon writes them.
	require.NoError(t, cpu(ended, []string{"--cpu-load-slice", "10", "--cpu-method", "sqrt", "--cpu", "2", "--cpu-load", "30"}))
	require.NoError(t, cpu(t.Context(), []string{"--cpu", "1", "--timeout", "10ms"}))
	require.NoError(t, memory(ended, []string{"--workers", "2", "--size", "1MB"}))
	require.ErrorIs(t, cpu(ended, []string{"--vm", "1"}), errUsage)
	require.ErrorIs(t, cpu(ended, []string{"--cpu", "1", "--cpu-load", "101"}), errUsage)
	require.ErrorIs(t, cpu(ended, []string{"extra"}), errUsage)
	require.ErrorIs(t, memory(ended, []string{"--size", "much"}), errUsage)
	require.ErrorIs(t, memory(ended, []string{"--workers", "0", "--size", "1MB"}), errUsage)
}

func TestHoldGrows(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits []time.Duration
	after := func(d time.Duration) <-chan time.Time {
		if waits = append(waits, d); len(waits) == 3 {
			cancel()
		}
		now := make(chan time.Time, 1)
		now <- time.Time{}
		return now
	}
	require.NoError(t, hold(ctx, 3*chunk, 3*time.Second, after))
	require.Equal(t, []time.Duration{time.Second, time.Second, time.Second}, waits)
}
