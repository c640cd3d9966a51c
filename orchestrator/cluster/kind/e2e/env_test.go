//go:build kind

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind/kindtest"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// The labels that kind gives the containers of its nodes.
const (
	clusterLabel = "io.x-k8s.kind.cluster"
	roleLabel    = "io.x-k8s.kind.role"
)

// The roles of nodes, as roleLabel gives them.
const (
	controlPlane = "control-plane"
	worker       = "worker"
)

// provider is the kind provider with what the machine offers.
func provider() *kind.Provider {
	return &kind.Provider{
		NodeImage: os.Getenv("GAMEDAY_KIND_NODE_IMAGE"),
		Images: func() (*images.Set, error) {
			found, err := embedded.FindBinaries()
			if err != nil {
				return nil, err
			}
			return images.Find(filepath.Dir(found.Cluster))
		},
		Chaos: chaosmesh.Options{Chart: os.Getenv("GAMEDAY_CHAOS_MESH_CHART"), Images: os.Getenv("GAMEDAY_CHAOS_MESH_IMAGES")},
	}
}

// kindFlags are the same for the command line.
func kindFlags() []string {
	out := []string{"--cluster", "kind"}
	for _, f := range [][2]string{
		{"--node-image", "GAMEDAY_KIND_NODE_IMAGE"}, {"--chaos-mesh-chart", "GAMEDAY_CHAOS_MESH_CHART"}, {"--chaos-mesh-images", "GAMEDAY_CHAOS_MESH_IMAGES"},
	} {
		if value := os.Getenv(f[1]); value != "" {
			out = append(out, f[0], value)
		}
	}
	return out
}

// binaries is the directory of gameday and its companions.
func binaries(t *testing.T) string {
	t.Helper()
	found, err := embedded.FindBinaries()
	require.NoError(t, err)
	return filepath.Dir(found.Cluster)
}

// docker runs a command of Docker's and returns what it printed. It also works when the test's own context is over.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryDocker(args...)
	require.NoError(t, err, "docker %s: %s", strings.Join(args, " "), out)
	return out
}

// tryDocker is docker for a command that may fail.
func tryDocker(args ...string) (string, error) { return dockerWithin(5*time.Minute, args...) }

func dockerWithin(limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// containers are the names of the nodes of this test's clusters, running or not: of one cluster where name is not empty, of one role where
// role is not. An engine may have clusters of others.
func containers(t *testing.T, name, role string) []string {
	t.Helper()
	args := []string{"ps", "-a", "--filter", "label=" + clusterLabel, "--format", `{{.Names}} {{.Label "` + clusterLabel + `"}}`}
	if role != "" {
		args = append(args, "--filter", "label="+roleLabel+"="+role)
	}
	var out []string
	for _, line := range strings.Split(docker(t, args...), "\n") {
		container, label, _ := strings.Cut(line, " ")
		if kindtest.Owns(container) && (name == "" || strings.HasSuffix(label, "-"+name)) {
			out = append(out, container)
		}
	}
	slices.Sort(out)
	return out
}

// prepared is the provider once it has looked at the machine, kernel included.
var prepared = sync.OnceValues(func() (*kind.Provider, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // The node image may have to be pulled.
	defer cancel()
	p := provider()
	return p, p.Prepare(ctx, cluster.Spec{Nodes: 2})
})

// lacks is what the kernel of this machine cannot do, with the reason.
func lacks(t *testing.T) map[string]string {
	t.Helper()
	p, err := prepared()
	require.NoError(t, err)
	out := map[string]string{}
	for _, scheduler := range cluster.Missing(p, []string{faults.Netem, faults.TBF}) {
		out[scheduler] = p.WhyNot(scheduler)
	}
	return out
}
