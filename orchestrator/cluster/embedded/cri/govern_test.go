package cri

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestOutOfMemoryKill(t *testing.T) {
	f := newFixture(t)
	id := f.start(func(c *runtimeapi.ContainerConfig) {
		c.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20}
	}, "hog")
	st := f.ended(id)
	require.Equal(t, int32(137), st.ExitCode)
	require.Equal(t, "OOMKilled", st.Reason)
	require.Equal(t, int64(64<<20), st.Resources.Linux.MemoryLimitInBytes)
	u := f.Usages()
	require.Len(t, u, 1)
	require.Equal(t, uint64(1), u[0].OOMKills)
	require.Greater(t, u[0].PeakBytes, uint64(64<<20))
}

func TestThrottle(t *testing.T) {
	f := newFixture(t)
	id := f.start(func(c *runtimeapi.ContainerConfig) {
		c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 20_000}
	}, "spin")
	f.logged(id, "started")
	c, err := f.container(id)
	require.NoError(t, err)
	before, begin := c.measureCPU(), time.Now()
	require.Eventually(t, func() bool { return c.usage().Periods >= 20 }, time.Minute, 20*time.Millisecond)
	share := float64(c.measureCPU()-before) / float64(time.Since(begin))
	require.Less(t, share, 0.28, "the quota is 20 ms of 100 ms") // A busy machine gives less, never more.
	u := c.usage()
	require.Positive(t, u.Throttled)
	require.LessOrEqual(t, u.Throttled, u.Periods)
	require.Greater(t, u.ThrottledTime, 50*time.Millisecond)

	// Without the quota it gets all that there is.
	require.NoError(t, f.UpdateContainerResources(context.Background(), id, &runtimeapi.ContainerResources{
		Linux: &runtimeapi.LinuxContainerResources{CpuQuota: -1},
	}))
	require.Eventually(t, func() bool {
		begin, before := time.Now(), c.measureCPU()
		<-time.After(200 * time.Millisecond)
		return float64(c.measureCPU()-before)/float64(time.Since(begin)) > 0.3
	}, time.Minute, 10*time.Millisecond)
}

// aFifth gives a container a fifth of a core.
func aFifth(c *runtimeapi.ContainerConfig) {
	c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 20_000}
}

// TestThrottledContainerTakesFurtherProcesses: what joins a container that is stopped for most of the time shares its quota, and takes nobody's.
func TestThrottledContainerTakesFurtherProcesses(t *testing.T) {
	f := newFixture(t)
	id := f.start(aFifth, "spin")
	f.logged(id, "started")
	c, err := f.container(id)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.usage().Throttled > 0 }, time.Minute, 5*time.Millisecond)

	ctx, cancel := context.WithCancel(t.Context())
	var joined sync.WaitGroup
	defer joined.Wait()
	defer cancel()
	joined.Go(func() { _, _ = f.RunIn(ctx, id, []string{"spin"}, nil, nil, nil) })
	helper := f.helper("spin")
	detach, err := f.AttachProcess(id, helper.Process.Pid)
	require.NoError(t, err)
	defer detach()
	defer func() {
		_ = helper.Process.Kill()
		_ = helper.Wait()
	}()
	require.Eventually(t, func() bool { return c.usage().Processes == 3 }, 10*time.Second, 5*time.Millisecond)

	used := func() (main, all time.Duration) {
		main, err := processCPU(c.main.pid)
		require.NoError(t, err)
		return main, c.measureCPU()
	}
	from, begin := c.usage().Periods, time.Now()
	mainBefore, before := used()
	require.Eventually(t, func() bool { return c.usage().Periods >= from+30 }, time.Minute, 20*time.Millisecond)
	mainAfter, after := used()
	require.Less(t, float64(after-before)/float64(time.Since(begin)), 0.28, "the quota is 20 ms of 100 ms, for all of them")
	require.Greater(t, mainAfter-mainBefore, 30*time.Millisecond, "the main process goes on, too")
}

// TestThrottledContainerEnds: it sees the signal that asks it to end at once, and has its quota until it does.
func TestThrottledContainerEnds(t *testing.T) {
	const grace = 2
	for _, tc := range []struct {
		program string
		grace   int64
		code    int32
	}{
		{"work", 60, 0},
		{"spin", 60, 143},
		{"defiant", grace, 137},
	} {
		t.Run(tc.program, func(t *testing.T) {
			f := newFixture(t)
			id := f.start(aFifth, tc.program)
			f.logged(id, "started")
			c, err := f.container(id)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return c.usage().Throttled > 2 }, time.Minute, 5*time.Millisecond)
			begin, before := time.Now(), c.measureCPU()
			require.NoError(t, f.StopContainer(t.Context(), id, tc.grace))
			took, used := time.Since(begin), c.measureCPU()-before
			require.Equal(t, tc.code, f.status(id).ExitCode)
			if tc.code == 137 {
				require.GreaterOrEqual(t, took, grace*time.Second)
				require.Less(t, float64(used)/float64(took), 0.28, "the quota is 20 ms of 100 ms")
				return
			}
			require.Less(t, took, 10*time.Second, "long before its time is up")
		})
	}
}

// TestOnlyWhatRunsIsHeldToLimits: nobody watches a container that may never start.
func TestOnlyWhatRunsIsHeldToLimits(t *testing.T) {
	f := newFixture(t)
	id := f.create(f.pod(), nil, "sleep")
	require.NoError(t, f.Close()) // From now on nobody takes what is asked.
	limits := &runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 20_000}
	require.NoError(t, f.UpdateContainerResources(t.Context(), id, &runtimeapi.ContainerResources{Linux: limits}))
	require.Empty(t, f.governor.take())
	require.Equal(t, int64(20_000), f.status(id).Resources.Linux.CpuQuota, "it is for when it starts")
}

// TestMemoryIsLookedAtInTime: a container that is far from any limit is looked at as often as others.
func TestMemoryIsLookedAtInTime(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "sleep")
	f.logged(id, "started")
	c, err := f.container(id)
	require.NoError(t, err)
	now, check := time.Now(), f.cfg.MemoryCheck
	w := &watch{c: c}
	require.True(t, w.look(now), "nobody has looked yet")
	require.Positive(t, w.memory)
	require.Equal(t, now.Add(check), w.due())
	require.False(t, w.look(now.Add(check/2)), "one who is awake has no reason to look already")
	require.True(t, w.look(w.due()))
	require.Equal(t, now.Add(2*check), w.due())
}

func TestStats(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	id := f.start(nil, "spin")
	f.logged(id, "started")
	require.Eventually(t, func() bool {
		s, err := f.ContainerStats(ctx, id)
		require.NoError(t, err)
		return s.Cpu.UsageNanoCores.Value > 1e8 && s.Cpu.UsageCoreNanoSeconds.Value > 1e8
	}, 10*time.Second, 50*time.Millisecond)
	s, err := f.ContainerStats(ctx, id)
	require.NoError(t, err)
	require.Greater(t, s.Memory.WorkingSetBytes.Value, uint64(512<<10))
	require.Equal(t, s.Memory.WorkingSetBytes.Value, s.Memory.UsageBytes.Value, "mapped executables are not the container's")
	require.Positive(t, s.WritableLayer.UsedBytes.Value)
	pods, err := f.ListPodSandboxStats(ctx, nil)
	require.NoError(t, err)
	require.Len(t, pods, 1)
	require.Len(t, pods[0].Linux.Containers, 1)
	require.GreaterOrEqual(t, pods[0].Linux.Cpu.UsageCoreNanoSeconds.Value, s.Cpu.UsageCoreNanoSeconds.Value)

	// The node's total does not run backwards when a container goes.
	before := f.NodeCPU()
	require.NoError(t, f.RemoveContainer(ctx, id))
	require.GreaterOrEqual(t, f.NodeCPU(), before)
}

func TestProgramIsToldItsCPULimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		quota int64
		want  int
	}{{"no limit", 0, 0}, {"a part", 50_000, 1}, {"one", 100_000, 1}, {"more than the machine", 1 << 30, runtime.NumCPU()}} {
		l := limitsOf(&runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: c.quota})
		require.Equal(t, c.want, l.goMaxProcs(), c.name)
	}
}

// TestLimitsThatComeLater hold at once, also where nobody would have looked for long.
func TestLimitsThatComeLater(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "spin")
	f.logged(id, "started")
	c, err := f.container(id)
	require.NoError(t, err)
	update := func(res *runtimeapi.LinuxContainerResources) {
		require.NoError(t, f.UpdateContainerResources(context.Background(), id, &runtimeapi.ContainerResources{Linux: res}))
	}
	require.Zero(t, c.usage().Periods, "nothing is counted without a quota")
	update(&runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 20_000})
	require.Eventually(t, func() bool { return c.usage().Throttled > 0 }, 10*time.Second, 10*time.Millisecond)
	update(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 10})
	require.Equal(t, "OOMKilled", f.ended(id).Reason)
}

// TestMemoryFiguresAreOfOneProcess: the figures of a process that is gone are not those of another.
func TestMemoryFiguresAreOfOneProcess(t *testing.T) {
	f := newFixture(t)
	cmd := f.helper("sleep")
	var figures statm
	defer figures.close()
	require.Eventually(t, func() bool {
		m, err := figures.read(cmd.Process.Pid)
		return err == nil && m.anonymous > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_, err := figures.read(cmd.Process.Pid)
	require.Error(t, err)
	figures.close()
	_, err = figures.read(cmd.Process.Pid)
	require.Error(t, err)
}

// TestChangesAreTold: whoever lists pods and containers hears when there is something new to list.
func TestChangesAreTold(t *testing.T) {
	f := &fixture{t: t, network: &fakeNetwork{}, dir: t.TempDir()}
	var told atomic.Int64
	f.changed = func() { told.Add(1) }
	f.open()
	grows := func(what string, do func()) {
		before := told.Load()
		do()
		require.Eventually(t, func() bool { return told.Load() > before }, 10*time.Second, time.Millisecond, what)
	}
	var pod, id string
	grows("a pod has come", func() { pod = f.pod() })
	grows("a container has come", func() { id = f.create(pod, nil, "graceful") })
	grows("it has started", func() { require.NoError(t, f.StartContainer(t.Context(), id)) })
	f.logged(id, "started")
	grows("it has ended", func() { require.NoError(t, f.StopContainer(t.Context(), id, 10)) })
	grows("it has gone", func() { require.NoError(t, f.RemoveContainer(t.Context(), id)) })
	grows("the pod has stopped", func() { require.NoError(t, f.StopPodSandbox(t.Context(), pod)) })
	grows("the pod has gone", func() { require.NoError(t, f.RemovePodSandbox(t.Context(), pod)) })
}
