package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

func find(t *testing.T, checks []doctor.Check, name string) doctor.Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c doctor.Check) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s in %v", name, checks)
	return checks[i]
}

// machine makes a root directory with the given memory in KiB.
func machine(t *testing.T, available int) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "proc", "meminfo"), fmt.Sprintf("MemTotal: 99999999 kB\nMemAvailable: %d kB\n", available))
	write(t, filepath.Join(root, "proc", "sys", "kernel", "osrelease"), "6.1.0\n")
	return root
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func TestMemory(t *testing.T) {
	t.Parallel()
	plenty := machine(t, 8<<20)
	for name, tc := range map[string]struct {
		root, cgroup string
		trials       int
		ok           bool
		detail       string
	}{
		"enough":              {plenty, "", 4, true, "8.0 GiB available, want 6.0 GiB"},
		"for one more":        {plenty, "", 5, true, "8.0 GiB available, want 7.5 GiB"},
		"for two more not":    {plenty, "", 6, false, "8.0 GiB available, want 9.0 GiB"},
		"control group":       {machine(t, 8<<20), "1073741824", 1, false, "768 MiB allowed by the control group, want 1.5 GiB"},
		"control group is ok": {machine(t, 8<<20), "max", 1, true, "8.0 GiB available, want 1.5 GiB"},
		"little":              {machine(t, 1<<20), "", 1, false, "1.0 GiB available, want 1.5 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.cgroup != "" {
				write(t, filepath.Join(tc.root, "sys/fs/cgroup/memory.max"), tc.cgroup+"\n")
				write(t, filepath.Join(tc.root, "sys/fs/cgroup/memory.current"), "268435456\n")
			}
			c := find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, Root: tc.root, Concurrency: tc.trials, OutDir: t.TempDir(), RuntimeDir: t.TempDir()}), "memory")
			require.Equal(t, tc.ok, c.OK)
			require.Equal(t, tc.detail, c.Detail)
			require.Equal(t, !tc.ok, c.Hint != "")
			require.True(t, c.Required)
		})
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	out := filepath.Join(t.TempDir(), "a", "b")
	checks := doctor.Run(t.Context(), doctor.Options{Quick: true, OutDir: out, RuntimeDir: filepath.Join(file, "x")})
	require.True(t, find(t, checks, "run directory").OK)
	require.NoDirExists(t, out, "nothing is made")
	bad := find(t, checks, "runtime directory")
	require.False(t, bad.OK)
	require.Contains(t, bad.Hint, "XDG_RUNTIME_DIR")
	require.False(t, doctor.Healthy(checks))
	left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(out)), ".gameday*"))
	require.NoError(t, err)
	require.Empty(t, left)
	if os.Getuid() != 0 { // Root writes anywhere.
		locked := t.TempDir()
		require.NoError(t, os.Chmod(locked, 0o500))
		require.Contains(t, find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, OutDir: locked}), "run directory").Detail, "cannot be written")
	}
}

func TestTemporaryDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	good := t.TempDir()
	for name, tc := range map[string]struct {
		dir, detail string
		concurrency int
		ok          bool
	}{
		"right":             {good, good + ": ", 1, true},
		"the machine's own": {"", os.TempDir() + ": ", 1, true},
		"missing":           {filepath.Join(good, "no"), "no such file or directory", 1, false},
		"no directory":      {file, "is not a directory", 1, false},
		"cannot be written": {"/proc", "/proc cannot be written", 1, false},
		"full":              {good, "free, want ", 1 << 30, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, RuntimeDir: good, TempDir: tc.dir, Concurrency: tc.concurrency}), "temporary directory")
			require.Equal(t, tc.ok, c.OK, c.Detail)
			require.Contains(t, c.Detail, tc.detail)
			require.True(t, c.Required)
			require.Equal(t, !tc.ok, strings.Contains(c.Hint, "TMPDIR"), c.Hint)
		})
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	require.NoError(t, doctor.Error([]doctor.Check{{Name: "a", OK: true, Required: true}, {Name: "b"}}))
	err := doctor.Error([]doctor.Check{{Name: "a", Required: true, Detail: "none", Hint: "get one"}, {Name: "b"}, {Name: "c", Required: true, Detail: "too small"}})
	require.EqualError(t, err, "this machine is not ready: a: none; c: too small")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Equal(t, "a: get one; see all with: gameday doctor", errs.HintOf(err))
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	c := find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, OutDir: "/proc/gameday"}), "run directory")
	require.False(t, c.OK)
	require.NotEmpty(t, c.Hint)
}

func TestSocketPath(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{20: true, 59: true, 60: false, 100: false} {
		dir := "/" + strings.Repeat("x", n-1)
		require.Equal(t, ok, find(t, doctor.Run(t.Context(), doctor.Options{Quick: true, RuntimeDir: dir}), "socket path").OK, n)
	}
}

func TestRequiredComesFirstAndHintsAreThere(t *testing.T) {
	t.Parallel()
	checks := doctor.Run(t.Context(), doctor.Options{Quick: true, OutDir: t.TempDir(), RuntimeDir: t.TempDir()})
	optional := false
	for _, c := range checks {
		require.NotEmpty(t, c.Detail, c.Name)
		require.False(t, optional && c.Required, "%s is required and comes after what is not", c.Name)
		optional = !c.Required
		if !c.OK && c.Required {
			require.NotEmpty(t, c.Hint, c.Name)
		}
	}
	require.True(t, find(t, checks, "loopback ports").OK)
}

// TestBinariesThatDoNotWork: the hint is of what is wrong, gameday's own binaries or somebody's programs.
func TestBinariesThatDoNotWork(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GAMEDAY_BIN_DIR", dir)
	t.Setenv("GAMEDAY_PROGRAMS", "")
	t.Setenv("PATH", dir)
	t.Chdir(dir) // bin/ of the source tree is looked at, too.
	look := func(quick bool, name string) doctor.Check {
		return find(t, doctor.Run(t.Context(), doctor.Options{Quick: quick, Root: machine(t, 8<<20)}), name)
	}
	check := look(true, "binaries")
	require.False(t, check.OK)
	require.Contains(t, check.Hint, "make build")
	for _, name := range slices.Concat([]string{"gameday-cluster"}, binaries.Programs(), binaries.Companions()) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755))
	}
	t.Setenv("GAMEDAY_PROGRAMS", "/nothing")
	check = look(true, "binaries")
	require.False(t, check.OK)
	require.Contains(t, check.Detail, `find "/nothing": no such executable`)
	require.Contains(t, check.Hint, "GAMEDAY_PROGRAMS lists absolute paths")

	own := filepath.Join(dir, "own")
	require.NoError(t, os.WriteFile(own, []byte("#!/bin/sh\n"), 0o755))
	t.Setenv("GAMEDAY_PROGRAMS", own)
	check = look(false, "own")
	require.False(t, check.OK)
	require.Equal(t, "see that GAMEDAY_PROGRAMS names binaries that list their images", check.Hint)
	require.Equal(t, "build it again with make build", look(false, binaries.Programs()[0]).Hint)
}
