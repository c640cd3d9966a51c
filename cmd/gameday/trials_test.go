//go:build trials

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// TestTrials runs the scripts that play trials on whole clusters, which want the machine for themselves: hence the tag.
func TestTrials(t *testing.T) {
	binaries, err := embedded.FindBinaries()
	require.NoError(t, err)
	runScripts(t, "trials", func(env *testscript.Env) error {
		rt, err := os.MkdirTemp("", "gt-") //nolint:usetesting // The name of t.TempDir is too long for the sockets below it.
		if err != nil {
			return err
		}
		env.Defer(func() { _ = os.RemoveAll(rt) })
		env.Setenv("XDG_RUNTIME_DIR", rt)
		env.Setenv("GAMEDAY_BIN_DIR", filepath.Dir(binaries.Cluster))
		example, err := os.ReadFile(filepath.Join("..", "..", "docs", "examples", "agent.py"))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(env.WorkDir, "pack", "agents", "example", "agent.py"), example, 0o600)
	})
}
