package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil, {"make"}, {"dockerd"}, {"dockerd", "restart"}, {"build", "-no-such-flag"}, {"build", "extra"}, {"clean", "extra"},
		{"dockerd", "start", "-pool", "everything"}, {"dockerd", "stop", "-address", "10.0.0.1"},
	} {
		require.ErrorIs(t, run(t.Context(), args, io.Discard, io.Discard), errUsage, "%q", args)
	}
	var help bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"help"}, &help, io.Discard))
	require.Equal(t, usage, help.String())
	require.ErrorIs(t, run(t.Context(), []string{"build", "-h"}, io.Discard, &help), flag.ErrHelp)
	require.Contains(t, help.String(), "-mirror")
}

func TestCache(t *testing.T) {
	t.Setenv("GAMEDAY_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/home/x/.cache")
	c := common{}
	dir, err := c.dir()
	require.NoError(t, err)
	require.Equal(t, "/home/x/.cache/gameday/kindnode", dir)

	t.Setenv("GAMEDAY_CACHE", "/cache")
	c.register(flag.NewFlagSet("", flag.ContinueOnError))
	dir, err = c.dir()
	require.NoError(t, err)
	require.Equal(t, "/cache/kindnode", dir)
}

func TestCleanAll(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, "kindnode")
	for _, name := range []string{"steps/rootfs-0123456789ab", "0123456789ab/chart", "other"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	require.NoError(t, os.WriteFile(envFile(dir), nil, 0o644))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"clean", "-all", "-cache", cache}, &out, io.Discard))
	require.Contains(t, out.String(), "0123456789ab")
	require.NoDirExists(t, filepath.Join(dir, "steps"))
	require.NoDirExists(t, filepath.Join(dir, "0123456789ab"))
	require.DirExists(t, filepath.Join(dir, "other"), "what is not ours stays")
	require.FileExists(t, envFile(dir))

	unlock, err := lock(dir)
	require.NoError(t, err)
	require.ErrorContains(t, run(t.Context(), []string{"clean", "-all", "-cache", cache}, &out, io.Discard), "another build")
	require.NoError(t, unlock())
	require.NoError(t, run(t.Context(), []string{"clean", "-all", "-cache", cache}, &out, io.Discard))
}

func TestChartSaysWhatItsImagesLack(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"name: chaos-mesh\n", "name: chaos-mesh\nannotations:\n  a: b\n"} {
		file := filepath.Join(t.TempDir(), "Chart.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, noteLacks(file))
		require.NoError(t, noteLacks(file), "it is idempotent")
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(data), "name: chaos-mesh")
		require.Contains(t, string(data), "gameday.dev/lacks: HTTPChaos IOChaos")
	}
	require.Error(t, noteLacks(filepath.Join(t.TempDir(), "none.yaml")))
	broken := filepath.Join(t.TempDir(), "Chart.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("a: ["), 0o600))
	require.Error(t, noteLacks(broken))
}
