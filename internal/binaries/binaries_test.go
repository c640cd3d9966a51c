package binaries_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "gameday-test-program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gameday-test-text"), []byte("text"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "gameday-test-dir"), 0o755))

	found, err := binaries.Find(dir, "gameday-test-program")
	require.NoError(t, err)
	require.Equal(t, program, found)
	for _, name := range []string{"gameday-test-text", "gameday-test-dir", "gameday-test-nothing"} {
		_, err := binaries.Find(dir, name)
		require.Equal(t, errs.Infra, errs.PartyOf(err), name)
		require.ErrorContains(t, err, "find "+name+": no such executable in "+dir)
		require.Contains(t, errs.HintOf(err), "make build")
	}

	_, err = binaries.Find("", "gameday-test-program")
	require.ErrorContains(t, err, "not beside gameday and not in PATH")
	t.Setenv("PATH", dir)
	found, err = binaries.Find("", "gameday-test-program")
	require.NoError(t, err)
	require.Equal(t, program, found)
	t.Setenv("PATH", "")
	t.Setenv("GAMEDAY_BIN_DIR", dir)
	found, err = binaries.Find("", "gameday-test-program")
	require.NoError(t, err)
	require.Equal(t, program, found)
}

func TestFurther(t *testing.T) {
	t.Setenv("GAMEDAY_PROGRAMS", "")
	further, err := binaries.Further()
	require.NoError(t, err)
	require.Empty(t, further)

	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for _, path := range []string{one, two} {
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	}
	t.Setenv("GAMEDAY_PROGRAMS", two+string(os.PathListSeparator)+one)
	further, err = binaries.Further()
	require.NoError(t, err)
	require.Equal(t, []string{two, one}, further)

	t.Chdir(dir)
	for _, path := range []string{filepath.Join(dir, "nothing"), dir, "one", one + string(os.PathListSeparator)} {
		t.Setenv("GAMEDAY_PROGRAMS", path)
		_, err = binaries.Further()
		require.Equal(t, errs.Infra, errs.PartyOf(err), path)
		require.Contains(t, errs.HintOf(err), "GAMEDAY_PROGRAMS lists absolute paths")
	}
}
