package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

// standIn is a gameday that records a run, says where it has come to, and then does what the case wants. Tests with one are not
// parallel: a process that starts while the script is being written inherits the open file, and then it cannot be executed.
func standIn(t *testing.T, then string) (p *player, reached string) {
	t.Helper()
	dir := t.TempDir()
	run, err := json.Marshal(results.Run{SchemaVersion: results.SchemaVersion, ID: "r", Status: results.RunFinished, Planned: 4})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.json"), run, 0o600))
	reached = filepath.Join(dir, "reached")
	require.NoError(t, syscall.Mkfifo(reached, 0o600))
	script := `#!/bin/sh
# The end of every command line: --out DIR --run-id ID --progress plain
while [ "$1" != --out ]; do shift; done
mkdir "$2/$4" && cp ` + dir + `/run.json "$2/$4"
echo the last word
` + then + "\n"
	binary := filepath.Join(dir, "gameday")
	require.NoError(t, os.WriteFile(binary, []byte(script), 0o700))
	return &player{binary: binary, dir: t.TempDir()}, reached
}

// untilInterrupted has a child, as a cluster, and takes it down when it is interrupted.
const untilInterrupted = `sleep 600 & trap 'kill $!; exit 130' INT; echo > "$(dirname "$0")/reached"; wait`

// TestPlay plays runs that end in several ways.
func TestPlay(t *testing.T) {
	for _, tt := range []struct{ name, then, err string }{
		{name: "to its end", then: "exit 0"},
		{name: "trials without a grade", then: "exit 5"},
		{name: "not at all", then: "exit 6", err: "play run one: exit code 6: the last word"},
		{name: "interrupted by somebody else", then: "exit 130", err: "play run one: exit code 130: the last word"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := standIn(t, tt.then)
			o, err := p.play(t.Context(), game{id: "one", args: []string{"run", "x"}})
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 4, o.data.Run.Planned)
			require.False(t, o.stopped)
			require.Zero(t, o.left.Count(), o.left.String())
			_, err = p.play(t.Context(), game{id: "one"})
			require.ErrorContains(t, err, "already", "a run that is there is not measured again")
		})
	}
}

// TestLimitInterruptsInOrder: a run that goes on for too long is interrupted, takes down what it has, and its records count.
func TestLimitInterruptsInOrder(t *testing.T) {
	p, reached := standIn(t, untilInterrupted)
	limit := make(chan time.Time)
	go func() {
		_, _ = os.ReadFile(reached) // Until it is there.
		close(limit)
	}()
	o, err := p.play(t.Context(), game{id: "one", limit: limit})
	require.NoError(t, err)
	require.True(t, o.stopped)
	require.Equal(t, 4, o.data.Run.Planned)
	require.Zero(t, o.left.Count(), o.left.String())
}

// TestInterruptedBench interrupts the run and says why it ended.
func TestInterruptedBench(t *testing.T) {
	p, reached := standIn(t, untilInterrupted)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() {
		_, _ = os.ReadFile(reached)
		cancel(why)
	}()
	o, err := p.play(ctx, game{id: "one"})
	require.ErrorIs(t, err, why)
	require.Zero(t, o.left.Count(), o.left.String())
}
