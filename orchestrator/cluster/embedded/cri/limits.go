package cri

import (
	"runtime"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// limits is what a container may use. Zero means no limit.
type limits struct {
	memory int64 // Bytes.
	quota  time.Duration
	period time.Duration
	shares int64
}

// defaultPeriod is the CPU period where the kubelet names none.
const defaultPeriod = 100 * time.Millisecond

func limitsOf(res *runtimeapi.LinuxContainerResources) limits { return limits{}.updated(res) }

func (l limits) updated(res *runtimeapi.LinuxContainerResources) limits {
	if res == nil {
		return l
	}
	if res.MemoryLimitInBytes != 0 {
		l.memory = max(res.MemoryLimitInBytes, 0)
	}
	if res.CpuShares != 0 {
		l.shares = res.CpuShares
	}
	if res.CpuPeriod != 0 {
		l.period = time.Duration(res.CpuPeriod) * time.Microsecond
	}
	if l.period == 0 {
		l.period = defaultPeriod
	}
	if res.CpuQuota != 0 {
		l.quota = max(time.Duration(res.CpuQuota)*time.Microsecond, 0)
	}
	return l
}

func (l limits) cri() *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{
		CpuPeriod: l.period.Microseconds(), CpuQuota: l.quota.Microseconds(), CpuShares: l.shares,
		MemoryLimitInBytes: l.memory,
	}
}

// goMaxProcs is what a Go program is told of its CPU limit: the limit rounded up, at most the machine. Go's runtime itself would take at
// least 2; but a program that may use one CPU only hands its work from thread to thread then, which among dozens of
// programs on a machine costs more than it gives.
func (l limits) goMaxProcs() int {
	if l.quota <= 0 || l.period <= 0 {
		return 0
	}
	n := int((l.quota + l.period - 1) / l.period)
	return min(n, runtime.NumCPU())
}
