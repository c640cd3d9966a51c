package kind

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// TestArchiveOfImagesIsLookedInto: what Chaos Mesh's pods could not start with is found before there are nodes.
func TestArchiveOfImagesIsLookedInto(t *testing.T) {
	newDocker(t)
	chart := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(chart, "Chart.yaml"), []byte("apiVersion: v2\nname: chaos-mesh\nversion: 2.8.4\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(chart, "values.yaml"),
		[]byte("images: {registry: ghcr.io, tag: v2.8.4}\nchaosDaemon: {image: {repository: chaos-mesh/chaos-daemon}}\n"), 0o600))
	archive := filepath.Join(t.TempDir(), "images.tar")
	set := func(tag string) {
		contents := fmt.Appendf(nil, `[{"RepoTags":[%q]}]`, tag)
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o644, Size: int64(len(contents))}))
		_, err := w.Write(contents)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.NoError(t, os.WriteFile(archive, out.Bytes(), 0o600))
	}
	p := &Provider{Chaos: chaosmesh.Options{Chart: chart, Images: archive}}
	set("ghcr.io/chaos-mesh/chaos-daemon:v2.8.4")
	good := find(t, p.Check(t.Context(), cluster.Spec{}, 1), "Chaos Mesh")
	require.True(t, good.OK, good.Detail)
	set("ghcr.io/chaos-mesh/chaos-daemon:v2.7.0")
	bad := find(t, p.Check(t.Context(), cluster.Spec{}, 1), "Chaos Mesh")
	require.False(t, bad.OK)
	require.True(t, bad.Required)
	require.Contains(t, bad.Detail, "does not hold ghcr.io/chaos-mesh/chaos-daemon:v2.8.4")
	require.Contains(t, bad.Hint, "docker save -o FILE")
}
