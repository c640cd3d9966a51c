package chaosmesh

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
)

// chartWith makes a chart whose values are those that are given.
func chartWith(t *testing.T, values string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: chaos-mesh\nversion: 2.8.4\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "values.yaml"), []byte(values), 0o600))
	return dir
}

// archiveOf makes an archive of images that have names and nothing else.
func archiveOf(t *testing.T, tags ...string) string {
	t.Helper()
	var contents bytes.Buffer
	for _, tag := range tags {
		if contents.Len() > 0 {
			contents.WriteString(",")
		}
		fmt.Fprintf(&contents, `{"RepoTags":[%q]}`, tag)
	}
	data := []byte("[" + contents.String() + "]")
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o644, Size: int64(len(data))}))
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	file := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
	return file
}

func TestArchiveIsChecked(t *testing.T) {
	t.Parallel()
	const manager, daemon = "ghcr.io/chaos-mesh/chaos-mesh:v2.8.4", "mirror.example/chaos-daemon:v2.9.0"
	chart := chartWith(t, `images: {registry: ghcr.io, tag: v2.8.4}
controllerManager: {image: {registry: "", repository: chaos-mesh/chaos-mesh, tag: ""}}
chaosDaemon: {image: {registry: mirror.example, repository: chaos-daemon, tag: v2.9.0}}
dnsServer: {image: {repository: chaos-mesh/chaos-coredns, tag: v0.2.8}}
`)
	o := Options{Chart: chart}
	require.NoError(t, o.CheckArchive(t.Context(), archiveOf(t, manager, daemon, "busybox:1")))
	require.NoError(t, Options{Chart: chartWith(t, "images: {}\n")}.CheckArchive(t.Context(), archiveOf(t)), "a chart that names no images wants none")
	text := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	for name, tc := range map[string]struct {
		options       Options
		archive, want string
	}{
		"of another release": {o, archiveOf(t, "ghcr.io/chaos-mesh/chaos-mesh:v2.7.0", daemon), "does not hold " + manager + ", which the chart runs"},
		"of something else":  {o, archiveOf(t), "does not hold " + manager + " and " + daemon},
		"no archive":         {o, text, "read archive of images " + text},
		"no chart":           {Options{Chart: "no/such/chart"}, archiveOf(t, manager, daemon), "read chart no/such/chart"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.options.CheckArchive(t.Context(), tc.archive)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
			require.NotEmpty(t, errs.HintOf(err))
		})
	}
}
