package node

import (
	"context"
	"testing"
	"time"

	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

type fakeUsage struct{ cpu time.Duration }

func (f *fakeUsage) Usages() []cri.Usage {
	return []cri.Usage{{
		ID: "abc", Running: true, Labels: map[string]string{"io.kubernetes.pod.uid": "u1"}, CPU: f.cpu, Memory: 30 << 20, RSS: 30 << 20,
		CPUQuota: 50 * time.Millisecond, CPUPeriod: 100 * time.Millisecond, Periods: 9, Throttled: 4, ThrottledTime: time.Second, MemoryLimit: 64 << 20, OOMKills: 2,
	}, {ID: "gone", Running: false}}
}

func (f *fakeUsage) NodeCPU() time.Duration { return f.cpu }

func (f *fakeUsage) Sandboxes() []cri.Sandbox {
	return []cri.Sandbox{
		{ID: "box", Labels: map[string]string{"io.kubernetes.pod.uid": "u1", "io.kubernetes.pod.name": "web"}},
		{ID: "host", Labels: map[string]string{"io.kubernetes.pod.uid": "u2"}, HostNetwork: true},
	}
}

func (f *fakeUsage) DiskUsage() (uint64, uint64) { return 1 << 30, 1000 }

func TestAdvisor(t *testing.T) {
	dir := t.TempDir()
	a := newAdvisor(&machine{memory: 4 << 30, disk: 64 << 30, inodes: 4 << 20}, &fakeUsage{cpu: 3 * time.Second}, dir, func(string) (network.Traffic, bool) {
		return network.Traffic{RxBytes: 100, TxBytes: 200}, true
	})
	all, err := a.GetRequestedContainersInfo("/", cadvisorapiv2.RequestOptions{})
	require.NoError(t, err)
	c := all["/kubepods/podu1/abc"]
	require.NotNil(t, c)
	s := c.Stats[0]
	require.Equal(t, uint64(3*time.Second), s.Cpu.Usage.Total)
	require.Equal(t, uint64(4), s.Cpu.CFS.ThrottledPeriods)
	require.Equal(t, uint64(time.Second), s.Cpu.CFS.ThrottledTime)
	require.Equal(t, uint64(50_000), c.Spec.Cpu.Quota)
	require.Equal(t, uint64(30<<20), s.Memory.WorkingSet)
	require.Equal(t, uint64(2), s.OOMEvents)
	require.Equal(t, uint64(200), all["/kubepods/podu1/box"].Stats[0].Network.Interfaces[0].TxBytes)
	require.NotContains(t, all, "/kubepods/podu2/host")
	require.NotContains(t, all, "/kubepods/pod/gone")

	pods, err := a.ContainerInfoV2(podsCgroup, cadvisorapiv2.RequestOptions{})
	require.NoError(t, err)
	require.Len(t, pods, 1)
	require.Equal(t, uint64(30<<20), pods[podsCgroup].Stats[0].Memory.WorkingSet)
	root, err := a.ContainerInfoV2("/", cadvisorapiv2.RequestOptions{Recursive: true})
	require.NoError(t, err)
	require.Greater(t, root["/"].Stats[0].Memory.WorkingSet, uint64(30<<20), "the node's own process counts")
	require.True(t, root["/kubepods/podu1/box"].Spec.HasNetwork)

	fs, err := a.ImagesFsInfo(context.Background())
	require.NoError(t, err)
	require.Equal(t, uint64(64<<30), fs.Capacity)
	require.Equal(t, uint64(1<<30), fs.Usage)
	_, err = a.GetDirFsInfo("/elsewhere")
	require.Error(t, err)
}

func TestRate(t *testing.T) {
	a := newAdvisor(&machine{}, &fakeUsage{}, "", nil)
	at := time.Unix(100, 0)
	require.Zero(t, a.rate("/", at, 0))
	require.Equal(t, uint64(5e8), a.rate("/", at.Add(2*time.Second), time.Second))
	require.Equal(t, uint64(5e8), a.rate("/", at.Add(2100*time.Millisecond), 2*time.Second), "too soon for a new rate")
}
