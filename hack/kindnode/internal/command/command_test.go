package command_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := command.Run(t.Context(), command.Cmd{
		Dir: t.TempDir(), Env: []string{"GREETING=hello"}, Stdin: strings.NewReader("world"),
		Name: "sh", Args: []string{"-c", `printf '%s ' "$GREETING"; cat; echo noise >&2`},
	})
	require.NoError(t, err)
	require.Equal(t, "hello world", string(out))
}

func TestRunShowsTheEndOfTheOutput(t *testing.T) {
	t.Parallel()
	_, err := command.Run(t.Context(), command.Cmd{Name: "sh", Args: []string{"-c", "seq 10000; echo no such package >&2; exit 3"}})
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no such package")
	require.NotContains(t, err.Error(), "\n  1\n")
	require.Less(t, len(err.Error()), 8<<10+100)
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	_, err := command.Run(ctx, command.Cmd{Name: "sleep", Args: []string{"60"}})
	require.ErrorIs(t, err, cause)
}
