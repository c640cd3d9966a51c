package cri

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerStats reports what one container uses.
func (r *Runtime) ContainerStats(_ context.Context, id string) (*runtimeapi.ContainerStats, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	return r.containerStats(c), nil
}

// ListContainerStats reports what the running containers that match the filter use.
func (r *Runtime) ListContainerStats(_ context.Context, f *runtimeapi.ContainerStatsFilter) ([]*runtimeapi.ContainerStats, error) {
	var out []*runtimeapi.ContainerStats
	for _, c := range r.snapshotContainers() {
		if c.state().State != runtimeapi.ContainerState_CONTAINER_RUNNING {
			continue
		}
		if f != nil && (!idMatches(c.id, f.Id) || !idMatches(c.sandbox.id, f.PodSandboxId) || !labelsMatch(c.config.Labels, f.LabelSelector)) {
			continue
		}
		out = append(out, r.containerStats(c))
	}
	return out, nil
}

func (r *Runtime) containerStats(c *container) *runtimeapi.ContainerStats {
	u, now := c.usage(), r.clock.Now().UnixNano()
	mem := memoryStats(now, u.Memory, u.RSS)
	if u.MemoryLimit > 0 {
		mem.AvailableBytes = value(uint64(u.MemoryLimit) - min(u.Memory, uint64(u.MemoryLimit)))
	}
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{
			Id: u.ID, Metadata: c.config.Metadata, Labels: u.Labels, Annotations: u.Annotations,
		},
		Cpu: cpuStats(now, u.CPU, u.NanoCores), Memory: mem,
		WritableLayer: &runtimeapi.FilesystemUsage{
			Timestamp: now, FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: r.cfg.Dir},
			UsedBytes: value(u.DiskBytes), InodesUsed: value(u.Inodes),
		},
		Swap: &runtimeapi.SwapUsage{Timestamp: now, SwapUsageBytes: value(0), SwapAvailableBytes: value(0)},
	}
}

// PodSandboxStats reports what one pod uses: the sum of its containers.
func (r *Runtime) PodSandboxStats(_ context.Context, id string) (*runtimeapi.PodSandboxStats, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	return r.sandboxStats(s), nil
}

// ListPodSandboxStats reports what the pods that match the filter use.
func (r *Runtime) ListPodSandboxStats(_ context.Context, f *runtimeapi.PodSandboxStatsFilter) ([]*runtimeapi.PodSandboxStats, error) {
	var out []*runtimeapi.PodSandboxStats
	for _, s := range r.snapshotSandboxes() {
		if s.state() != runtimeapi.PodSandboxState_SANDBOX_READY {
			continue
		}
		if f != nil && (!idMatches(s.id, f.Id) || !labelsMatch(s.config.Labels, f.LabelSelector)) {
			continue
		}
		out = append(out, r.sandboxStats(s))
	}
	return out, nil
}

func (r *Runtime) sandboxStats(s *sandboxPod) *runtimeapi.PodSandboxStats {
	now := r.clock.Now().UnixNano()
	linux := &runtimeapi.LinuxPodSandboxStats{Process: &runtimeapi.ProcessUsage{Timestamp: now, ProcessCount: value(0)}}
	var cpu time.Duration
	var nano, working, rss uint64
	for _, c := range r.containersOf(s.id) {
		u := c.usage()
		cpu += u.CPU
		nano += u.NanoCores
		working += u.Memory
		rss += u.RSS
		linux.Process.ProcessCount.Value += u.Processes
		if u.Running {
			linux.Containers = append(linux.Containers, r.containerStats(c))
		}
	}
	linux.Cpu, linux.Memory = cpuStats(now, cpu, nano), memoryStats(now, working, rss)
	return &runtimeapi.PodSandboxStats{
		Attributes: &runtimeapi.PodSandboxAttributes{
			Id: s.id, Metadata: s.config.Metadata, Labels: s.config.Labels, Annotations: s.config.Annotations,
		},
		Linux: linux,
	}
}

// ListMetricDescriptors is not offered: these metrics carry whole numbers only, too coarse for CPU seconds. The node
// serves /metrics/cadvisor from Usages.
func (r *Runtime) ListMetricDescriptors(context.Context) ([]*runtimeapi.MetricDescriptor, error) {
	return nil, status.Error(codes.Unimplemented, "metric descriptors are not supported")
}

// ListPodSandboxMetrics is not offered; see ListMetricDescriptors.
func (r *Runtime) ListPodSandboxMetrics(context.Context) ([]*runtimeapi.PodSandboxMetrics, error) {
	return nil, status.Error(codes.Unimplemented, "pod metrics are not supported")
}

func cpuStats(now int64, total time.Duration, nano uint64) *runtimeapi.CpuUsage {
	return &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: value(uint64(total)), UsageNanoCores: value(nano)}
}

func memoryStats(now int64, working, rss uint64) *runtimeapi.MemoryUsage {
	return &runtimeapi.MemoryUsage{
		Timestamp: now, WorkingSetBytes: value(working), UsageBytes: value(working), RssBytes: value(rss),
		PageFaults: value(0), MajorPageFaults: value(0),
	}
}

func value(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }
