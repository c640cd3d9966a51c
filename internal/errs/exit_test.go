package errs_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"plain", boom, 1},
		{"usage", errs.With(errs.Usage, boom), 2},
		{"findings", errs.Exit(errs.ExitFindings, errs.With(errs.Usage, boom)), 3},
		{"gate", errs.Exit(errs.ExitGate, boom), 4},
		{"incomplete", errs.Exit(errs.ExitIncomplete, boom), 5},
		{"infra", fmt.Errorf("run: %w", errs.With(errs.Infra, boom)), 6},
		{"agent", errs.With(errs.Agent, boom), 1},
		{"grader", errs.With(errs.Grader, boom), 1},
		{"interrupted", errs.With(errs.Interrupted, boom), 130},
		{"terminated", errs.With(errs.Interrupted, errs.Exit(errs.ExitTerminated, boom)), 143},
		{"innermost wins", errs.Exit(1, fmt.Errorf("x: %w", errs.Exit(4, boom))), 4},
		{"joined", errors.Join(boom, errs.Exit(5, boom)), 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, errs.ExitCode(tc.err))
		})
	}
	require.NoError(t, errs.Exit(3, nil))
}

func TestExitMeanings(t *testing.T) {
	t.Parallel()
	last := -1
	for _, m := range errs.ExitMeanings() {
		require.Greater(t, m.Code, last)
		require.NotEmpty(t, m.Meaning)
		last = m.Code
	}
}
