package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/bundle"
)

func write(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), mode))
}

func TestPackAndUnpack(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	write(t, from, "trial.json", "{}\n", 0o644)
	write(t, from, "logs/cluster/node-1.log", "line\n", 0o600)
	write(t, from, "agents/mine/run", "#!/bin/true\n", 0o755)
	require.NoError(t, os.Mkdir(filepath.Join(from, "empty"), 0o755))
	require.NoError(t, os.Symlink("trial.json", filepath.Join(from, "link.json")))

	data, err := bundle.Pack(from)
	require.NoError(t, err)
	again, err := bundle.Pack(from)
	require.NoError(t, err)
	require.Equal(t, data, again)

	to := t.TempDir()
	require.NoError(t, bundle.Unpack(data, to))
	for name, want := range map[string]string{
		"trial.json": "{}\n", "logs/cluster/node-1.log": "line\n", "agents/mine/run": "#!/bin/true\n", "link.json": "{}\n",
	} {
		got, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
	require.DirExists(t, filepath.Join(to, "empty"))
	info, err := os.Lstat(filepath.Join(to, "agents", "mine", "run"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o100, "what can be run stays so")
	info, err = os.Lstat(filepath.Join(to, "link.json"))
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	require.Error(t, bundle.Unpack(data, to), "nothing is written over")
}

func TestPackRefusesLinksToDirectories(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	require.NoError(t, os.Symlink("/", filepath.Join(from, "root")))
	_, err := bundle.Pack(from)
	require.ErrorContains(t, err, "no regular file")
	_, err = bundle.Pack(filepath.Join(from, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// archive makes one with a single entry.
func archive(t *testing.T, header tar.Header, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	header.Size, header.Mode = int64(len(content)), 0o644
	require.NoError(t, w.WriteHeader(&header))
	_, err := w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return out.Bytes()
}

func TestUnpackTakesFilesOnly(t *testing.T) {
	t.Parallel()
	whole := archive(t, tar.Header{Name: "a", Typeflag: tar.TypeReg}, "some text that is long enough")
	for name, data := range map[string][]byte{
		"out of the directory": archive(t, tar.Header{Name: "../a", Typeflag: tar.TypeReg}, "x"),
		"absolute":             archive(t, tar.Header{Name: "/a", Typeflag: tar.TypeReg}, "x"),
		"a link":               archive(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""),
		"a hard link":          archive(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}, ""),
		"a device":             archive(t, tar.Header{Name: "a", Typeflag: tar.TypeChar}, ""),
		"cut off":              whole[:len(whole)-15],
		"no archive":           []byte("hello"),
	} {
		dir := filepath.Join(t.TempDir(), "in")
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.Error(t, bundle.Unpack(data, dir), name)
		above, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		require.Len(t, above, 1, name)
	}
}
