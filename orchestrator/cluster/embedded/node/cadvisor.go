package node

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	"k8s.io/kubernetes/pkg/kubelet/cadvisor"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

// podsCgroup is the name of the total of all pods.
const podsCgroup = "/kubepods"

// usageSource is what the container runtime knows of use. It is safe for concurrent use.
type usageSource interface {
	// Usages reports every container.
	Usages() []cri.Usage
	// NodeCPU is the CPU time of all containers that ever ran.
	NodeCPU() time.Duration
	// Sandboxes lists the pods that are on the network.
	Sandboxes() []cri.Sandbox
	// DiskUsage is what the node's directory takes, in bytes and files.
	DiskUsage() (bytes, inodes uint64)
}

// advisor is the kubelet's cAdvisor over the container runtime's own books.
type advisor struct {
	machine *machine
	source  usageSource
	dir     string // The node's directory.
	// traffic reads a sandbox's network counters; false when it has left the network.
	traffic func(sandboxID string) (network.Traffic, bool)

	mu   sync.Mutex
	last map[string]instant
}

// instant is the CPU reading from which the next rate is taken.
type instant struct {
	at   time.Time
	cpu  time.Duration
	rate uint64
}

var _ cadvisor.Interface = (*advisor)(nil)

func newAdvisor(m *machine, source usageSource, dir string, traffic func(string) (network.Traffic, bool)) *advisor {
	return &advisor{machine: m, source: source, dir: dir, traffic: traffic, last: map[string]instant{}}
}

func (a *advisor) Start() error { return nil }

func (a *advisor) MachineInfo() (*cadvisorapi.MachineInfo, error) { return a.machine.info(), nil }

func (a *advisor) VersionInfo() (*cadvisorapi.VersionInfo, error) { return a.machine.version(), nil }

// total is what a cgroup that holds all containers would report; system adds this process, the node itself.
func (a *advisor) total(system bool, containers []cri.Usage) (cpu time.Duration, mem cadvisorapi.MemoryStats) {
	cpu = a.source.NodeCPU()
	for _, u := range containers {
		mem.WorkingSet += u.Memory
		mem.RSS += u.RSS
		mem.Usage += u.Memory
	}
	if system {
		var ru syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) == nil {
			cpu += time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		}
		own := ownMemory()
		mem.WorkingSet += own
		mem.RSS += own
		mem.Usage += own
	}
	return cpu, mem
}

// ownMemory is this process's anonymous memory in bytes.
func ownMemory() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident, shared uint64
	if _, err := fmt.Sscan(string(data), &size, &resident, &shared); err != nil {
		return 0
	}
	return (resident - min(shared, resident)) * uint64(os.Getpagesize())
}

// minRateSpan is the shortest time over which a rate is taken.
const minRateSpan = 500 * time.Millisecond

// rate is the CPU use of name in billionths of a core since it was last asked for.
func (a *advisor) rate(name string, now time.Time, cpu time.Duration) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.last[name]
	if !ok {
		a.last[name] = instant{at: now, cpu: cpu}
		return 0
	}
	span := now.Sub(last.at)
	if span < minRateSpan {
		return last.rate
	}
	r := uint64(float64(max(cpu-last.cpu, 0)) / float64(span) * 1e9)
	a.last[name] = instant{at: now, cpu: cpu, rate: r}
	return r
}

// ContainerInfoV2 reports the node's total and, when it is asked for everything below, the pods' network: the rest of a
// container's figures the kubelet takes from the runtime itself.
func (a *advisor) ContainerInfoV2(name string, opts cadvisorapiv2.RequestOptions) (map[string]cadvisorapiv2.ContainerInfo, error) {
	now := time.Now()
	cpu, mem := a.total(name != podsCgroup, a.source.Usages())
	stats := &cadvisorapiv2.ContainerStats{
		Timestamp: now, Cpu: &cadvisorapi.CpuStats{}, Memory: &mem,
		CpuInst: &cadvisorapiv2.CpuInstStats{Usage: cadvisorapiv2.CpuInstUsage{Total: a.rate(name, now, cpu)}},
	}
	stats.Cpu.Usage.Total = uint64(cpu)
	out := map[string]cadvisorapiv2.ContainerInfo{name: {
		Spec: cadvisorapiv2.ContainerSpec{
			CreationTime: a.machine.booted, HasCpu: true, HasMemory: true,
			Memory: cadvisorapiv2.MemorySpec{Limit: a.machine.memory},
		},
		Stats: []*cadvisorapiv2.ContainerStats{stats},
	}}
	if opts.Recursive {
		for path, p := range a.podTraffic() {
			out[path] = cadvisorapiv2.ContainerInfo{
				Spec: cadvisorapiv2.ContainerSpec{CreationTime: p.CreatedAt, Labels: p.Labels, HasNetwork: true},
				Stats: []*cadvisorapiv2.ContainerStats{{
					Timestamp: now, Network: &cadvisorapiv2.NetworkStats{Interfaces: []cadvisorapi.InterfaceStats{p.eth0}},
				}},
			}
		}
	}
	return out, nil
}

// podCounters is a pod with what its interface has counted.
type podCounters struct {
	cri.Sandbox
	eth0 cadvisorapi.InterfaceStats
}

// podTraffic returns the network counters of every pod with a stack of its own, by cgroup-like path.
func (a *advisor) podTraffic() map[string]podCounters {
	out := map[string]podCounters{}
	for _, s := range a.source.Sandboxes() {
		t, ok := a.traffic(s.ID)
		if !ok || s.HostNetwork {
			continue
		}
		out[podsCgroup+"/pod"+s.Labels["io.kubernetes.pod.uid"]+"/"+s.ID] = podCounters{s, cadvisorapi.InterfaceStats{
			Name: "eth0", RxBytes: t.RxBytes, RxPackets: t.RxPackets, RxDropped: t.RxDropped,
			TxBytes: t.TxBytes, TxPackets: t.TxPackets, TxDropped: t.TxDropped,
		}}
	}
	return out
}

// GetRequestedContainersInfo reports the node and every container, as /metrics/cadvisor shows them.
func (a *advisor) GetRequestedContainersInfo(string, cadvisorapiv2.RequestOptions) (map[string]*cadvisorapi.ContainerInfo, error) {
	now, usages := time.Now(), a.source.Usages()
	out := map[string]*cadvisorapi.ContainerInfo{}
	for _, name := range []string{"/", podsCgroup} {
		cpu, mem := a.total(name == "/", usages)
		stats := &cadvisorapi.ContainerStats{Timestamp: now, Memory: mem}
		stats.Cpu.Usage.Total = uint64(cpu)
		out[name] = &cadvisorapi.ContainerInfo{
			ContainerReference: cadvisorapi.ContainerReference{Name: name},
			Spec: cadvisorapi.ContainerSpec{
				CreationTime: a.machine.booted, HasCpu: true, HasMemory: true, Memory: cadvisorapi.MemorySpec{Limit: a.machine.memory},
			},
			Stats: []*cadvisorapi.ContainerStats{stats},
		}
	}
	for path, p := range a.podTraffic() {
		out[path] = &cadvisorapi.ContainerInfo{
			ContainerReference: cadvisorapi.ContainerReference{Id: p.ID, Name: path, Aliases: []string{p.ID}, Namespace: "containerd"},
			Spec:               cadvisorapi.ContainerSpec{CreationTime: p.CreatedAt, Labels: p.Labels, HasNetwork: true},
			Stats: []*cadvisorapi.ContainerStats{{
				Timestamp: now, Network: cadvisorapi.NetworkStats{InterfaceStats: p.eth0, Interfaces: []cadvisorapi.InterfaceStats{p.eth0}},
			}},
		}
	}
	for _, u := range usages {
		if u.Running {
			name := podsCgroup + "/pod" + u.Labels["io.kubernetes.pod.uid"] + "/" + u.ID
			out[name] = containerInfo(name, u, a.machine.disk, now)
		}
	}
	return out, nil
}

func containerInfo(name string, u cri.Usage, limit uint64, now time.Time) *cadvisorapi.ContainerInfo {
	stats := &cadvisorapi.ContainerStats{
		Timestamp: now, OOMEvents: u.OOMKills, Processes: cadvisorapi.ProcessStats{ProcessCount: u.Processes},
		Memory: cadvisorapi.MemoryStats{
			Usage: u.Memory, MaxUsage: u.PeakBytes, RSS: u.RSS, WorkingSet: u.Memory,
		},
		Filesystem: []cadvisorapi.FsStats{{
			Device: "/dev/vda1", Type: "vfs", Usage: u.DiskBytes, BaseUsage: u.DiskBytes, Limit: limit, HasInodes: true, Inodes: u.Inodes,
		}},
	}
	stats.Cpu.Usage.Total = uint64(u.CPU)
	stats.Cpu.Usage.User = uint64(u.CPU)
	stats.Cpu.CFS = cadvisorapi.CpuCFS{Periods: u.Periods, ThrottledPeriods: u.Throttled, ThrottledTime: uint64(u.ThrottledTime)}
	cs := cadvisorapi.ContainerSpec{
		CreationTime: u.StartedAt, Labels: u.Labels, Image: u.Image, HasCpu: true, HasMemory: true, HasFilesystem: true, HasProcesses: true,
		Cpu: cadvisorapi.CpuSpec{Limit: uint64(max(u.CPUShares, 2)), Period: uint64(u.CPUPeriod.Microseconds())},
	}
	if u.CPUQuota > 0 {
		cs.Cpu.Quota = uint64(u.CPUQuota.Microseconds())
	}
	if u.MemoryLimit > 0 {
		cs.Memory.Limit = uint64(u.MemoryLimit)
	}
	return &cadvisorapi.ContainerInfo{
		ContainerReference: cadvisorapi.ContainerReference{Id: u.ID, Name: name, Aliases: []string{u.ID}, Namespace: "containerd"},
		Spec:               cs, Stats: []*cadvisorapi.ContainerStats{stats},
	}
}

// fs is the node's file system. The host's own shortage shows, since then nothing can be written.
func (a *advisor) fs() (cadvisorapiv2.FsInfo, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(a.dir, &st); err != nil {
		return cadvisorapiv2.FsInfo{}, fmt.Errorf("stat node file system: %w", err)
	}
	used, files := a.source.DiskUsage()
	used = min(used, a.machine.disk)
	available := a.machine.disk - used
	if left := st.Bavail * uint64(st.Bsize); left < hostReserve {
		available = min(available, left)
	}
	inodes, free := a.machine.inodes, a.machine.inodes-min(files, a.machine.inodes)
	return cadvisorapiv2.FsInfo{
		Timestamp: time.Now(), Device: "/dev/vda1", Mountpoint: "/", Capacity: a.machine.disk, Usage: used,
		Available: available, Inodes: &inodes, InodesFree: &free,
	}, nil
}

// hostReserve is below what the host's own shortage of disk space becomes the node's, in bytes.
const hostReserve = 256 << 20

func (a *advisor) ImagesFsInfo(context.Context) (cadvisorapiv2.FsInfo, error)    { return a.fs() }
func (a *advisor) ContainerFsInfo(context.Context) (cadvisorapiv2.FsInfo, error) { return a.fs() }
func (a *advisor) RootFsInfo() (cadvisorapiv2.FsInfo, error)                     { return a.fs() }

func (a *advisor) GetDirFsInfo(path string) (cadvisorapiv2.FsInfo, error) {
	if path != a.dir && !strings.HasPrefix(path, a.dir) {
		return cadvisorapiv2.FsInfo{}, fmt.Errorf("stat file system of %s: not on this node", path)
	}
	return a.fs()
}
