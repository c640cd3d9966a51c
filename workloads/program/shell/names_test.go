package shell_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/shell"
)

func TestNames(t *testing.T) {
	t.Parallel()
	names := shell.Names()
	require.Subset(t, names, shell.Commands())
	require.Subset(t, names, []string{"[", "bash", "echo", "ls", "sh", "true"})
	require.True(t, slices.IsSorted(names))
	require.Equal(t, slices.Compact(slices.Clone(names)), names)
}
