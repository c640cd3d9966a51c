package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

func TestConformance(t *testing.T) {
	clustertest.Conformance(t, &embedded.Provider{}, cluster.Spec{Nodes: 2}, clustertest.ConformanceOptions{Left: left, Break: killControlPlane})
}

// left finds the cluster's directory, and the processes below this one that were told about it.
func left(t *testing.T, name string) []string {
	t.Helper()
	var out []string
	dir := filepath.Join(embedded.BaseDir(), name)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		out = append(out, dir)
	}
	table, err := proctree.Table()
	require.NoError(t, err)
	for _, p := range proctree.Descendants(table, os.Getpid()) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if err == nil && p.PID != os.Getpid() && bytes.Contains(line, []byte(dir+string(filepath.Separator))) {
			out = append(out, fmt.Sprintf("process %d (%s)", p.PID, p.Name))
		}
	}
	return out
}

func killControlPlane(t *testing.T, c cluster.Cluster) string {
	t.Helper()
	const name = "control-plane"
	require.NoError(t, syscall.Kill(c.(*embedded.Cluster).PIDs()[name], syscall.SIGKILL))
	return name
}
