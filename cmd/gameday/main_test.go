package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gameday": main,
		// gameday-tty is the same for a person: both streams are terminals of 80 columns.
		"gameday-tty": func() {
			s := cli.System()
			s.StdoutTerminal, s.StderrTerminal, s.Width = true, true, 80
			os.Exit(cli.Main(s))
		},
	})
}

// TestScripts runs every script through the real Main, each in a process and a directory of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "script", func(env *testscript.Env) error {
		env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "rt"))
		return nil
	})
}

// runScripts runs the scripts of a directory of testdata.
func runScripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	t.Helper()
	scripts, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	testscript.Run(t, testscript.Params{
		Files: scripts,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("NO_COLOR", "1")
			return setup(env)
		},
		// An exit code is asserted with: code N gameday ...
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
