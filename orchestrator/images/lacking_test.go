package images_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/images"
)

// tarOf makes an archive of files, given as names and contents in turn.
func tarOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// packed compresses data with what newWriter makes.
func packed(t *testing.T, data []byte, newWriter func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newWriter(&out)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestLacking(t *testing.T) {
	t.Parallel()
	const (
		manager = "ghcr.io/chaos-mesh/chaos-mesh:v2.8.4"
		daemon  = "ghcr.io/chaos-mesh/chaos-daemon:v2.8.4"
		busybox = "busybox"
	)
	docker := tarOf(t, "0123/layer.tar", "layer", "manifest.json",
		`[{"Config":"c.json","RepoTags":["`+manager+`"],"Layers":["0123/layer.tar"]},{"RepoTags":["docker.io/library/busybox:latest"]},{"RepoTags":null}]`)
	oci := tarOf(t, "./oci-layout", "{}", "./index.json",
		`{"manifests":[{"annotations":{"io.containerd.image.name":"`+manager+`","org.opencontainers.image.ref.name":"v2.8.4"}},{"annotations":{"org.opencontainers.image.ref.name":"`+daemon+`"}}]}`)
	for name, tc := range map[string]struct {
		data []byte
		want []string
		err  string
	}{
		"docker": {data: docker, want: []string{daemon}},
		"gzip": {
			data: packed(t, docker, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }), want: []string{daemon},
		},
		"zstd": {
			data: packed(t, docker, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }), want: []string{daemon},
		},
		"OCI layout":  {data: oci, want: []string{busybox}},
		"another tar": {data: tarOf(t, "README", "hello"), err: "it has neither manifest.json nor index.json"},
		"broken":      {data: tarOf(t, "manifest.json", "[{"), err: "decode manifest.json"},
		"text":        {data: []byte("hello"), err: "read archive of images "},
		"nothing":     {err: "it has neither manifest.json nor index.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "images")
			require.NoError(t, os.WriteFile(file, tc.data, 0o600))
			got, err := images.Lacking(file, manager, daemon, busybox)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	_, err := images.Lacking("no/such/file", manager)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestSavedImagesAreNotLacking: an archive of gameday's own is read like any other.
func TestSavedImagesAreNotLacking(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, newSet(t).Save(t.Context(), file))
	got, err := images.Lacking(file, geo2, busybox, "registry.local/no/such:1")
	require.NoError(t, err)
	require.Equal(t, []string{"registry.local/no/such:1"}, got)
}
