//go:build kind

package e2e

import (
	"cmp"
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

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// The labels that kind gives the containers of its nodes, and the prefix of those that are ours.
const (
	clusterLabel = "io.x-k8s.kind.cluster"
	roleLabel    = "io.x-k8s.kind.role"
	ours         = "gameday-"
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

// containers are the names of the nodes of our clusters, running or not: of one cluster where name is not empty, of one role where
// role is not.
func containers(t *testing.T, name, role string) []string {
	t.Helper()
	args := []string{"ps", "-a", "--filter", "label=" + clusterLabel, "--format", `{{.Names}} {{.Label "` + clusterLabel + `"}}`}
	if role != "" {
		args = append(args, "--filter", "label="+roleLabel+"="+role)
	}
	var out []string
	for _, line := range strings.Split(docker(t, args...), "\n") {
		container, label, _ := strings.Cut(line, " ")
		if strings.HasPrefix(container, ours) && (name == "" || strings.HasSuffix(label, "-"+name)) {
			out = append(out, container)
		}
	}
	slices.Sort(out)
	return out
}

// noNetem is why this machine's kernel has no netem, "" where it has: it is tried in a container of the node image, on its own
// loopback device.
var noNetem = sync.OnceValues(func() (string, error) {
	image := cmp.Or(os.Getenv("GAMEDAY_KIND_NODE_IMAGE"), kind.DefaultNodeImage)
	if _, err := tryDocker("image", "inspect", image); err != nil {
		if out, err := dockerWithin(20*time.Minute, "pull", "--quiet", image); err != nil {
			return out, err
		}
	}
	if out, err := tryDocker("run", "--rm", "--privileged", "--network", "none", "--entrypoint", "true", image); err != nil {
		return out, err
	}
	out, err := tryDocker("run", "--rm", "--privileged", "--network", "none", "--entrypoint", "tc", image,
		"qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
	if err == nil {
		return "", nil
	}
	return "tc qdisc add dev lo root netem delay 1ms: " + strings.Join(strings.Fields(out), " "), nil
})

// lacks is what this machine cannot do, with the reason.
func lacks(t *testing.T) map[string]string {
	t.Helper()
	reason, err := noNetem()
	require.NoError(t, err, "try netem in a container of the node image: %s", reason)
	if reason == "" {
		return map[string]string{}
	}
	return map[string]string{clustertest.Netem: reason}
}
