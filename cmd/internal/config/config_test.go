package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/config"
	"github.com/gameday-bench/gameday/internal/errs"
)

type world struct {
	flags *pflag.FlagSet
	from  config.Sources
	env   map[string]string
	home  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{flags: pflag.NewFlagSet("x", pflag.ContinueOnError), env: map[string]string{}, home: t.TempDir()}
	w.flags.String("out", "results/runs", "")
	w.flags.Int("concurrency", 1, "")
	w.flags.StringArray("agent", nil, "")
	w.flags.Float64("timeout-multiplier", 1, "")
	w.env["HOME"] = w.home
	w.from = config.Sources{Cwd: t.TempDir(), LookupEnv: func(k string) (string, bool) { v, ok := w.env[k]; return v, ok }}
	return w
}

func (w *world) write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// TestPrecedence adds one source after the other; each must win over those before.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := filepath.Join(w.home, ".config", "gameday", "config.yaml")
	xdg := filepath.Join(w.home, "xdg", "gameday", "config.yaml")
	project := filepath.Join(w.from.Cwd, ".gameday.yaml")
	given := filepath.Join(w.from.Cwd, "given.yaml")
	for _, step := range []struct {
		name, want, origin string
		do                 func()
	}{
		{"default", "results/runs", "default", func() {}},
		{"home", "home", user, func() { w.write(t, user, "out: home\n") }},
		{"xdg", "xdg", xdg, func() { w.write(t, xdg, "out: xdg\n"); w.env["XDG_CONFIG_HOME"] = filepath.Join(w.home, "xdg") }},
		{"project", "project", project, func() { w.write(t, project, "out: project\n") }},
		{"config flag", "given", given, func() { w.write(t, given, "out: given\n"); w.from.ConfigFlag = "given.yaml" }},
		{"environment", "env", "env GAMEDAY_OUT", func() { w.env["GAMEDAY_OUT"] = "env" }},
		{"flag", "flag", "flag", func() { require.NoError(t, w.flags.Set("out", "flag")) }},
	} {
		step.do()
		settings, err := config.Resolve(w.flags, w.from)
		require.NoError(t, err, step.name)
		got, err := w.flags.GetString("out")
		require.NoError(t, err)
		require.Equal(t, step.want, got, step.name)
		require.Contains(t, settings, config.Setting{Name: "out", Value: step.want, Origin: step.origin}, step.name)
	}
}

func TestFilesMergeByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(t, filepath.Join(w.home, ".config", "gameday", "config.yaml"), "concurrency: 3\nout: a\nagent: [oracle, nop]\n")
	w.write(t, filepath.Join(w.from.Cwd, ".gameday.yaml"), "out: b\ntimeout-multiplier: 2.5\n")
	settings, err := config.Resolve(w.flags, w.from)
	require.NoError(t, err)
	var names []string
	for _, s := range settings {
		names = append(names, s.Name+"="+s.Value)
	}
	require.Equal(t, []string{"agent=oracle,nop", "concurrency=3", "out=b", "timeout-multiplier=2.5"}, names)
	require.False(t, w.flags.Changed("out"), "a setting from a file is not a flag that was given")
}

func TestListsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["GAMEDAY_AGENT"] = "oracle,nop"
	_, err := config.Resolve(w.flags, w.from)
	require.NoError(t, err)
	agents, err := w.flags.GetStringArray("agent")
	require.NoError(t, err)
	require.Equal(t, []string{"oracle", "nop"}, agents)
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file, env, config, want string
	}{
		"unknown key": {file: "concurency: 3\n", want: `.gameday.yaml:1:1: concurency: unknown field; did you mean "concurrency"?`},
		"type":        {file: "concurrency: many\n", want: `.gameday.yaml:1:14: concurrency: want a whole number, got the string "many"`},
		"too small":   {file: "concurrency: 0\n", want: `.gameday.yaml:1:14: concurrency: must be at least 1, got 0`},
		"variable":    {env: "many", want: `read setting concurrency from env GAMEDAY_CONCURRENCY: `},
		"no file":     {config: "missing.yaml", want: "missing.yaml: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.file != "" {
				w.write(t, filepath.Join(w.from.Cwd, ".gameday.yaml"), tc.file)
			}
			w.env["GAMEDAY_CONCURRENCY"] = tc.env
			w.from.ConfigFlag = tc.config
			_, err := config.Resolve(w.flags, w.from)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
		})
	}
}
