package rootfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
)

func byPath(p *rootfs.Programs) map[string]layer.Entry {
	out := map[string]layer.Entry{}
	for _, e := range p.Entries() {
		out[e.Path] = e
	}
	return out
}

// TestProgramsOfThisMachine takes a program of the machine that the test runs on, where that is a Debian.
func TestProgramsOfThisMachine(t *testing.T) {
	t.Parallel()
	libc := rootfs.Libraries() + "/libc.so.6"
	for _, file := range []string{libc, "usr/bin/ls"} {
		if _, err := os.Stat("/" + file); err != nil {
			t.Skipf("this machine is no Debian: %v", err)
		}
	}
	p := rootfs.In("/")
	require.NoError(t, p.Add("ls"))
	got := byPath(p)
	require.Contains(t, got, "usr/bin/ls")
	require.Contains(t, got, libc)
	loaders := 0
	for name := range got {
		if found, _ := filepath.Match("usr/lib*/ld-linux*", name); found {
			loaders++
		}
	}
	require.Equal(t, 1, loaders, "a program needs its loader")
	_, err := layer.Files(p.Entries()...)
	require.NoError(t, err)
}

func TestProgramsOfADirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), mode))
	}
	write("usr/bin/script", "#!/bin/sh\necho this is no program of the machine\n", 0o755)
	write("usr/bin/short", "#!", 0o755)
	write("usr/lib/tc/normal.dist", "# a table that is long enough to be looked at\n", 0o644)
	require.NoError(t, os.Symlink("/usr/bin/script", filepath.Join(root, "usr/bin/alias")))
	require.NoError(t, os.Symlink("normal.dist", filepath.Join(root, "usr/lib/tc/other.dist")))

	p := rootfs.In(root)
	require.NoError(t, p.Add("script", "short", "alias"))
	require.NoError(t, p.AddDir("usr/lib/tc", false))
	require.NoError(t, p.AddDir("usr/lib/missing", true))
	got := byPath(p)
	require.Equal(t, filepath.Join(root, "usr/bin/script"), got["usr/bin/alias"].Source, "an absolute link stays inside of the directory")
	require.Equal(t, "normal.dist", got["usr/lib/tc/other.dist"].Target)
	require.Equal(t, "usr/bin", got["bin"].Target)

	require.ErrorIs(t, p.Add("absent"), os.ErrNotExist)
	require.ErrorIs(t, p.AddDir("usr/lib/missing", false), os.ErrNotExist)
}
