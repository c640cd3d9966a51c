package images_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

func TestSaveIsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, again := filepath.Join(dir, "first.tar"), filepath.Join(dir, "again.tar")
	require.NoError(t, newSet(t).Save(t.Context(), first))
	require.NoError(t, os.WriteFile(again, []byte("what was there"), 0o600))
	require.NoError(t, newSet(t).Save(t.Context(), again))
	a, err := os.ReadFile(first)
	require.NoError(t, err)
	b, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(a), sha256.Sum256(b), "two sets of the same executables")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}

// TestArchive looks at what others read in an archive: containerd and Docker the OCI layout, older ones Docker's manifest.
func TestArchive(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	path := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, s.Save(t.Context(), path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	files := map[string][]byte{}
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, files, header.Name, "each layer is there once")
		files[header.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
	require.JSONEq(t, `{"imageLayoutVersion": "1.0.0"}`, string(files["oci-layout"]))
	var index v1.IndexManifest
	require.NoError(t, json.Unmarshal(files["index.json"], &index))
	require.Len(t, index.Manifests, len(s.List()))
	for i, im := range s.List() {
		d := index.Manifests[i]
		require.Equal(t, im.Digest, d.Digest.String(), "nodes know the image by the digest that registries do")
		require.Equal(t, im.Ref, d.Annotations["io.containerd.image.name"])
		require.Equal(t, im.Variant, d.Annotations["org.opencontainers.image.ref.name"])
		require.Equal(t, "amd64", d.Platform.Architecture)
		content := files["blobs/sha256/"+d.Digest.Hex]
		require.Len(t, content, int(d.Size))
		var manifest v1.Manifest
		require.NoError(t, json.Unmarshal(content, &manifest))
		require.Equal(t, im.ID, manifest.Config.Digest.String())
		for _, l := range manifest.Layers {
			require.Len(t, files["blobs/sha256/"+l.Digest.Hex], int(l.Size))
		}
	}
	require.Len(t, files, s.Total().Layers+2*s.Total().Images+3)
}

func TestSaveErrors(t *testing.T) {
	t.Parallel()
	s, dir := newSet(t), t.TempDir()
	none := s.Select(func(images.Image) bool { return false })
	require.Equal(t, errs.Usage, errs.PartyOf(none.Save(t.Context(), filepath.Join(dir, "x.tar"))))

	err := s.Save(t.Context(), filepath.Join(dir, "missing", "x.tar"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, errs.Usage, errs.PartyOf(err))

	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o755))
	err = s.Save(t.Context(), filepath.Join(dir, "taken"))
	require.Equal(t, errs.Infra, errs.PartyOf(err), "a directory is in its place")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Save(ctx, filepath.Join(dir, "x.tar"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))

	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing half-written stays")
}
