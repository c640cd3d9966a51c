package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/internal/kill"
	"github.com/gameday-bench/gameday/hack/internal/leftover"
)

// TestRowsAreThereAtOnce: what is finished is on the output and in the file before the next row is.
func TestRowsAreThereAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "rows.json")
	table := newTable(&out, file)
	rows := func() (all []row) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &all))
		return all
	}
	first := row{Name: "one", Target: "<= 1 s", Measured: "2 s", Note: "a | b\nc"}
	require.NoError(t, table.add(first))
	require.True(t, strings.HasSuffix(out.String(), "| --- | --- | --- | --- | --- |\n| one | <= 1 s | 2 s | **no** | a / b c |\n"), out.String())
	require.Equal(t, []row{first}, rows())
	out.Reset()
	others := []row{{Name: "two", Target: "-", Measured: "5", Met: true}, {Name: "three", Target: "<= 1", Measured: "1", Met: true}, {Name: "four", Target: "-", Measured: "failed"}}
	require.NoError(t, table.add(others...))
	require.Equal(t, "| two | - | 5 | - |  |\n| three | <= 1 | 1 | yes |  |\n| four | - | failed | **no** |  |\n", out.String())
	require.Equal(t, append([]row{first}, others...), rows())
}

// TestFailedMeasurement is a row of one line.
func TestFailedMeasurement(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := &bench{table: newTable(&out, "")}
	require.NoError(t, b.fail(t.Context(), "pods", errors.New("no cluster\nits log")))
	require.True(t, strings.HasSuffix(out.String(), "\n| pods |  | failed | **no** | no cluster |\n"), out.String())
}

// TestUnknownRow names the rows that there are.
func TestUnknownRow(t *testing.T) {
	t.Parallel()
	err := measure(t.Context(), options{cluster: "embedded", only: []string{"smok"}})
	require.ErrorContains(t, err, `no "smok", only cluster, app,`)
	require.ErrorContains(t, err, "trials, smoke, kills")
	err = measure(t.Context(), options{cluster: "kind", only: []string{"app"}})
	require.EqualError(t, err, `choose rows: there is no "app", only fresh, reused`)
	err = measure(t.Context(), options{cluster: "knid"})
	require.EqualError(t, err, `choose cluster: there is no "knid", only embedded and kind`)
}

// TestKillRow sums up rounds.
func TestKillRow(t *testing.T) {
	t.Parallel()
	fine := []kill.Report{{Name: "parent-1", Before: 1, After: 1}, {Name: "node-1", Before: 2, After: 2}}
	r := killRow(fine, 2)
	require.True(t, r.Met)
	require.Equal(t, "2 of 2 held; 0, 0, 0, 0 processes, sockets, files, ports left; 3 of 3 finished trials intact", r.Measured)
	require.Equal(t, "seed 1", r.Note)

	r = killRow(fine, 3)
	require.False(t, r.Met)
	require.Equal(t, "seed 1; 2 rounds were played", r.Note)

	bad := kill.Report{Name: "node-2", Place: "trial 1, act", Before: 2, After: 1, Err: errors.New("left behind: port 1\nmore"), Left: leftover.Remains{Ports: []string{"port 1"}}}
	r = killRow(append(fine, bad), 3)
	require.False(t, r.Met)
	require.Equal(t, "2 of 3 held; 0, 0, 0, 1 processes, sockets, files, ports left; 4 of 5 finished trials intact", r.Measured)
	require.Equal(t, "seed 1; failed: node-2 (trial 1, act): left behind: port 1", r.Note)
}
