package stress

import (
	"context"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, line string
		want       options
	}{
		{CPU, "--cpu-load-slice 10 --cpu-method sqrt --cpu 3 --cpu-load 40", options{workers: 3, load: 40, slice: 10 * time.Millisecond}},
		{CPU, "--cpu 1 --cpu-load 100 --cpu 2 --timeout 600 --hdd 1", options{workers: 2, load: 100, slice: 100 * time.Millisecond, timeout: 10 * time.Minute, disk: 1}},
		{CPU, "--cpu=2 -t 1.5 --cpu-load-slice -1", options{workers: 2, load: 100, slice: 100 * time.Millisecond, timeout: 1500 * time.Millisecond}},
		{Memory, "--workers 2 --size 256MB --time 5s", options{workers: 2, load: 100, slice: 100 * time.Millisecond, size: "256MB", grow: 5 * time.Second}},
		{Memory, "--workers 1 --timeout 1d", options{workers: 1, load: 100, slice: 100 * time.Millisecond, timeout: 24 * time.Hour}},
	}
	for _, tc := range tests {
		got, err := parse(tc.kind, strings.Fields(tc.line))
		require.NoError(t, err, tc.line)
		require.Equal(t, tc.want, got, tc.line)
		require.NoError(t, Check(tc.kind, strings.Fields(tc.line)))
	}
	for kind, line := range map[string]string{
		"disk": "--hdd 1", CPU: "--cpu-load 101", Memory: "--size 10XB",
	} {
		require.Error(t, Check(kind, strings.Fields(line)), line)
	}
	require.ErrorContains(t, Check(CPU, []string{"--matrix", "1"}), "--matrix 1: not supported")
	require.ErrorContains(t, Check(CPU, []string{"--cpu"}), "--cpu has no value")
	require.ErrorContains(t, Check(Memory, []string{"--workers", "9000"}), "out of range")
}

func TestBytesOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": 1000, "50%": 500, "10": 10, "10B": 10, "2KB": 2048, "2KiB": 2048, "1.5MB": 3 << 19, "10GB": 10 << 30, "1t": 1 << 40,
	} {
		got, err := bytesOf(text, 1000)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"x", "120%", "-1MB", "5ZB", "MB"} {
		_, err := bytesOf(text, 1000)
		require.Error(t, err, text)
	}
}

func TestMainWaitsAndEnds(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.Equal(t, 0, Main(t.Context(), []string{Memory, "--size", "4MB", "--timeout", "0.05"}, strings.NewReader(Go), &out))
	require.Equal(t, 0, Main(t.Context(), []string{CPU, "--cpu", "1"}, iotest.ErrReader(context.Canceled), &out), "who is never told to go ends")
	require.Empty(t, out.String())
	require.Equal(t, 2, Main(t.Context(), []string{CPU, "--bogus", "1"}, strings.NewReader(Go), &out))
	require.Contains(t, out.String(), "--bogus")
	require.Equal(t, 2, Main(t.Context(), nil, strings.NewReader(Go), &out))
}
