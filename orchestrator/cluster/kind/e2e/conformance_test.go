//go:build kind

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind/kindtest"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// conformance holds the provider against the suite of all providers.
func conformance(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", kindtest.RuntimeDir(t))
	// The provider tells kind of its network by this variable. Those that come after it have networks of their own.
	const network = "KIND_EXPERIMENTAL_DOCKER_NETWORK"
	if os.Getenv(network) == "" {
		t.Setenv(network, "")
	}
	clustertest.Conformance(t, provider(), cluster.Spec{Nodes: 2}, clustertest.ConformanceOptions{
		Archive: archive,
		Left:    func(t *testing.T, name string) []string { t.Helper(); return containers(t, name, "") },
		Break:   killControlPlane,
		Refuses: true,
		Lacks:   func(t *testing.T, _ cluster.Cluster) map[string]string { t.Helper(); return lacks(t) },
	})
}

// archive makes one of the images under a name that no node knows.
func archive(t *testing.T) (path, ref string) {
	t.Helper()
	set, err := images.Find(binaries(t))
	require.NoError(t, err)
	all := filepath.Join(t.TempDir(), "all.tar")
	require.NoError(t, set.Save(t.Context(), all))
	from, err := name.NewTag(clustertest.ShellImage)
	require.NoError(t, err)
	image, err := tarball.ImageFromPath(all, &from)
	require.NoError(t, err)
	to, err := name.NewTag("registry.local/conformance/loaded:1")
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "one.tar")
	require.NoError(t, tarball.WriteToFile(path, to, image))
	return path, to.Name()
}

// killControlPlane kills a cluster's control plane as an accident would.
func killControlPlane(t *testing.T, c cluster.Cluster) string {
	t.Helper()
	found := containers(t, c.Name(), controlPlane)
	require.Len(t, found, 1)
	docker(t, "kill", found[0])
	return controlPlane
}
