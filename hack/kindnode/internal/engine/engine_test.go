package engine_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/engine"
)

// fake is an engine that has one image, and keeps what it is given.
func fake(t *testing.T) (engine.Engine, string) {
	t.Helper()
	dir := t.TempDir()
	program, loaded := filepath.Join(dir, "docker"), filepath.Join(dir, "loaded")
	script := `#!/bin/sh
case "$1" in
info) [ "$DOCKER_HOST" = here ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; } ;;
image) [ "$2 $3" = "inspect gameday/kindnode:1" ] ;;
load) cat > "$LOADED" ;;
esac
`
	require.NoError(t, os.WriteFile(program, []byte(script), 0o755))
	return engine.Engine{Program: program, Env: []string{"DOCKER_HOST=here", "LOADED=" + loaded}}, loaded
}

func TestEngine(t *testing.T) {
	t.Parallel()
	e, loaded := fake(t)
	require.NoError(t, e.Check(t.Context()))
	require.ErrorContains(t, engine.Engine{Program: e.Program, Env: []string{"DOCKER_HOST=away"}}.Check(t.Context()), "Cannot connect")
	require.ErrorContains(t, engine.Engine{Program: "no-such-engine"}.Check(t.Context()), "no-such-engine")
	require.True(t, e.Has(t.Context(), "gameday/kindnode:1"))
	require.False(t, e.Has(t.Context(), "gameday/kindnode:2"))

	require.NoError(t, e.Load(t.Context(), func(w io.Writer) error {
		_, err := io.WriteString(w, "archive")
		return err
	}))
	data, err := os.ReadFile(loaded)
	require.NoError(t, err)
	require.Equal(t, "archive", string(data))

	broken := errors.New("broken")
	require.ErrorIs(t, e.Load(t.Context(), func(io.Writer) error { return broken }), broken)
}
