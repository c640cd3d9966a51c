package images_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// harnessDir has an executable under each name of the harness: it is a real one, linked statically, that does nothing.
func harnessDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	made := filepath.Join(dir, "gameday")
	cmd := exec.Command("go", "build", "-o", made, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(made)
	require.NoError(t, err)
	for _, name := range []string{"gameday-cluster", "gameday-dns", "gameday-mysql", "gameday-pod", "gameday-prometheus"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), append(data, name...), 0o755))
	}
	return dir
}

func TestHarness(t *testing.T) {
	t.Parallel()
	dir := harnessDir(t)
	s, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	all := s.List()
	require.Len(t, all, 1)
	require.Regexp(t, `^registry\.local/gameday/harness:[0-9a-f]{16}$`, all[0].Ref)
	image := saved(t, s)(all[0].Ref)
	require.NoError(t, validate.Image(image))
	file, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, v1.Config{
		Entrypoint: []string{"/usr/local/bin/gameday"}, User: "65532", WorkingDir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}, file.Config)
	root := unpack(t, image)
	for _, name := range []string{"gameday", "gameday-cluster", "gameday-dns", "gameday-mysql", "gameday-pod", "gameday-prometheus"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, int64(0o755), root["usr/local/bin/"+name].Mode, name)
		require.True(t, string(data) == root["usr/local/bin/"+name].content, "%s is not as it was", name)
	}
	require.NotContains(t, root, "bin/sh")

	again, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, all, again.List())
	file2 := filepath.Join(dir, "gameday-dns")
	data, err := os.ReadFile(file2)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file2, append(data, "more"...), 0o755))
	other, err := images.Harness(t.Context(), dir)
	require.NoError(t, err)
	require.NotEqual(t, all[0].Ref, other.List()[0].Ref, "another content has another tag")
}

func TestHarnessRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := images.Harness(t.Context(), dir)
	require.ErrorContains(t, err, "find gameday: no such executable")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gameday"), []byte("#!/bin/sh\n"), 0o755))
	_, err = images.Harness(t.Context(), dir)
	require.ErrorContains(t, err, "read executable")
	require.True(t, strings.Contains(errs.HintOf(err), "CGO_ENABLED=0"), errs.HintOf(err))
}
