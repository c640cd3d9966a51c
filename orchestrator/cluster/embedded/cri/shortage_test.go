package cri

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestNodeOutOfMemoryKill(t *testing.T) {
	f := newFixture(t)
	var self statm
	defer self.close()
	own, err := self.read(syscall.Getpid())
	require.NoError(t, err)
	f.cfg.Machine.Memory = own.anonymous + 200<<20 // Before anything runs.
	score := func(adj int64) func(*runtimeapi.ContainerConfig) {
		return func(c *runtimeapi.ContainerConfig) {
			c.Linux.Resources = &runtimeapi.LinuxContainerResources{OomScoreAdj: adj}
		}
	}
	kept := f.start(score(-997), "sleep")
	f.logged(kept, "started")
	st := f.ended(f.start(score(1000), "hog"))
	require.Equal(t, "OOMKilled", st.Reason)
	require.Equal(t, runtimeapi.ContainerState_CONTAINER_RUNNING, f.status(kept).State)
}

func TestNoTaskIsLeft(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "sleep")
	f.logged(id, "started")
	require.Positive(t, f.Tasks())
	for name, m := range map[string]Machine{"pod": {PodPIDs: 1}, "node": {PIDs: 1}} {
		f.cfg.Machine = m
		_, _, err := f.ExecSync(context.Background(), id, []string{"print", "x"}, time.Minute)
		require.ErrorIs(t, err, syscall.EAGAIN, name)
	}
	f.cfg.Machine = Machine{PIDs: 1}
	refused := f.create(f.pod(), nil, "sleep")
	require.ErrorContains(t, f.StartContainer(context.Background(), refused), "resource temporarily unavailable")
	require.Equal(t, "StartError", f.status(refused).Reason)
	f.cfg.Machine = Machine{PIDs: 1 << 20, PodPIDs: 1 << 20}
	f.logged(f.start(nil, "sleep"), "started")
	_, _, err := f.ExecSync(context.Background(), id, []string{"print", "x"}, time.Minute)
	require.NoError(t, err)
}
