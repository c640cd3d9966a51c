package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
)

// listing is what an archive holds, a line for each file.
func listing(t *testing.T, r io.Reader) []string {
	t.Helper()
	var out []string
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		line := fmt.Sprintf("%c %04o %s", header.Typeflag, header.Mode, header.Name)
		if header.Linkname != "" {
			line += " -> " + header.Linkname
		}
		if len(content) > 0 {
			line += " = " + string(content)
		}
		out = append(out, line)
	}
}

func read(t *testing.T, l *layer.Layer) []string {
	t.Helper()
	r, err := l.Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	return listing(t, r)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(source, []byte("binary"), 0o600))
	entries := []layer.Entry{
		layer.Link("usr/bin/sh", "dash"), layer.File("usr/bin/dash", source, 0o755),
		layer.Text("etc/passwd", "root", 0o644), layer.Dir("tmp", 0o777|os.ModeSticky),
	}
	l, err := layer.Files(entries...)
	require.NoError(t, err)
	require.Equal(t, []string{
		"5 0755 etc/", "0 0644 etc/passwd = root", "5 1777 tmp/", "5 0755 usr/", "5 0755 usr/bin/",
		"0 0755 usr/bin/dash = binary", "2 0777 usr/bin/sh -> dash",
	}, read(t, l))
	require.Equal(t, read(t, l), read(t, l), "a layer can be read again")

	entries[0], entries[3] = entries[3], entries[0]
	same, err := layer.Files(entries...)
	require.NoError(t, err)
	first, err := l.Digest()
	require.NoError(t, err)
	second, err := same.Digest()
	require.NoError(t, err)
	require.Equal(t, first, second, "the order of the entries does not matter")

	for _, bad := range [][]layer.Entry{
		{layer.Text("a", "", 0o644), layer.Dir("a", 0o755)}, {layer.Text("/a", "", 0o644)}, {layer.Text("../a", "", 0o644)},
		{layer.File("a", filepath.Join(t.TempDir(), "missing"), 0o644)},
	} {
		_, err := layer.Files(bad...)
		require.Error(t, err)
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr", "doc"), 0o755))
	require.NoError(t, os.Chmod(root, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "usr", "a"), []byte("text"), 0o640))
	require.NoError(t, os.Link(filepath.Join(root, "usr", "a"), filepath.Join(root, "usr", "b")))
	require.NoError(t, os.Symlink("usr/a", filepath.Join(root, "c")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "usr", "doc", "long"), nil, 0o644))
	skip := func(name string) bool { return strings.HasPrefix(name, "usr/doc/") }

	l, err := layer.Tree(root, "", skip)
	require.NoError(t, err)
	require.Equal(t, []string{
		"2 0777 c -> usr/a", "5 0755 usr/", "0 0640 usr/a = text", "1 0640 usr/b -> usr/a", "5 0755 usr/doc/",
	}, read(t, l))

	l, err = layer.Tree(root, "var/lib/d", func(name string) bool { return name == "usr" })
	require.NoError(t, err)
	require.Equal(t, []string{"5 0755 var/", "5 0755 var/lib/", "5 0700 var/lib/d/", "2 0777 var/lib/d/c -> usr/a"}, read(t, l))
}

func TestArchive(t *testing.T) {
	t.Parallel()
	low, err := layer.Files(layer.Text("low", "l", 0o644), layer.Text("both", "low", 0o644))
	require.NoError(t, err)
	high, err := layer.Files(layer.Text("both", "high", 0o644))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, layer.Archive(&out,
		layer.Image{Tags: []string{"registry.k8s.io/pause:3.10", "gameday/pause:x"}, Layers: []*layer.Layer{low, high},
			Config: v1.Config{Entrypoint: []string{"/pause"}, StopSignal: "SIGRTMIN+3"}},
		layer.Image{Tags: []string{"gameday/low:x"}, Layers: []*layer.Layer{low}},
	))
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }

	for _, tag := range []string{"registry.k8s.io/pause:3.10", "gameday/pause:x"} {
		ref, err := name.NewTag(tag)
		require.NoError(t, err)
		image, err := tarball.Image(open, &ref)
		require.NoError(t, err)
		require.NoError(t, validate.Image(image))
		config, err := image.ConfigFile()
		require.NoError(t, err)
		require.Equal(t, []string{"/pause"}, config.Config.Entrypoint)
		require.Equal(t, "SIGRTMIN+3", config.Config.StopSignal)
		require.Equal(t, "linux", config.OS)
		files := mutate.Extract(image)
		require.ElementsMatch(t, []string{"0 0644 both = high", "0 0644 low = l"}, listing(t, files))
		require.NoError(t, files.Close())
	}
	// The shared layer is in the archive once: a config for each image, two layers, the manifest.
	require.Len(t, listing(t, bytes.NewReader(out.Bytes())), 5)

	require.Error(t, layer.Archive(io.Discard, layer.Image{Tags: []string{"NO:"}, Layers: []*layer.Layer{low}}))
}
