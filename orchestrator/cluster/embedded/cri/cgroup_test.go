package cri

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestCgroupFiles: the files say what the kernel would, for a container's start and after a change of its limits.
func TestCgroupFiles(t *testing.T) {
	t.Parallel()
	c := &container{dir: t.TempDir()}
	for _, tc := range []struct {
		update *runtimeapi.LinuxContainerResources
		want   map[string]string
	}{
		{nil, map[string]string{"cpu.max": "max 100000", "cpu.weight": "100", "memory.max": "max"}},
		{&runtimeapi.LinuxContainerResources{CpuShares: 2}, map[string]string{"cpu.weight": "1"}},
		{&runtimeapi.LinuxContainerResources{CpuShares: 1024}, map[string]string{"cpu.weight": "100"}},
		{
			&runtimeapi.LinuxContainerResources{CpuShares: 102, CpuQuota: 20000, CpuPeriod: 100000, MemoryLimitInBytes: 1 << 20},
			map[string]string{"cpu.max": "20000 100000", "cpu.weight": "17", "memory.max": "1048576"},
		},
		{&runtimeapi.LinuxContainerResources{CpuQuota: -1, MemoryLimitInBytes: 2 << 20}, map[string]string{"cpu.max": "max 100000", "memory.max": "2097152"}},
	} {
		if tc.update == nil {
			c.limits = limitsOf(&runtimeapi.LinuxContainerResources{})
		}
		c.limits = c.limits.updated(tc.update)
		require.NoError(t, c.writeCgroup())
		for name, want := range tc.want {
			data, err := os.ReadFile(filepath.Join(c.cgroupDir(), name))
			require.NoError(t, err)
			require.Equal(t, want+"\n", string(data), "%s after %v", name, tc.update)
		}
	}
	left, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but the group is left: %v", left)
}
