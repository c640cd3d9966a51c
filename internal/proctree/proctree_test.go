package proctree_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/proctree"
)

func TestDescendantsSeesAGrandchild(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 60 & echo ready; wait")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 6))
	require.NoError(t, err)

	table, err := proctree.Table()
	require.NoError(t, err)
	tree := proctree.Descendants(table, cmd.Process.Pid)
	sleep := slices.IndexFunc(tree, func(p proctree.Process) bool { return p.Name == "sleep" })
	require.GreaterOrEqual(t, sleep, 0, "the grandchild is below the child")
	usage := proctree.Measure(tree)
	require.Equal(t, 2, usage.Processes)
	require.Positive(t, usage.PSS)

	grandchild, err := os.FindProcess(tree[sleep].PID)
	require.NoError(t, err)
	require.NoError(t, grandchild.Kill())
	require.NoError(t, cmd.Wait())
}

func TestRuns(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	pid := cmd.Process.Pid
	require.True(t, proctree.Runs(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !proctree.Runs(pid) }, 5*time.Second, 5*time.Millisecond, "that nobody has reaped it does not count")
	require.Error(t, cmd.Wait())
	require.False(t, proctree.Runs(pid))
}
