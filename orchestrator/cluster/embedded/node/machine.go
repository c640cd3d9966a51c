package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/healthz"
	internalapi "k8s.io/cri-api/pkg/apis"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubeletstatus "k8s.io/kubernetes/pkg/kubelet/status"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// machine is what a node claims to be: the figures of the cluster's plan.
type machine struct {
	name     string
	cores    int
	memory   uint64 // Bytes.
	disk     uint64 // Bytes of the node's file system.
	inodes   uint64 // Files that it can hold.
	pids     int64  // Tasks that its kernel can have.
	identity string // 32 hexadecimal digits.
	booted   time.Time
}

func newMachine(cluster *spec.Cluster, n spec.Node, now time.Time) (*machine, error) {
	cpu, err := resource.ParseQuantity(n.CPU)
	if err != nil {
		return nil, fmt.Errorf("read cpu of node %s: %w", n.Name, err)
	}
	memory, err := resource.ParseQuantity(n.Memory)
	if err != nil {
		return nil, fmt.Errorf("read memory of node %s: %w", n.Name, err)
	}
	disk, err := resource.ParseQuantity(n.Disk)
	if err != nil {
		return nil, fmt.Errorf("read disk of node %s: %w", n.Name, err)
	}
	sum := sha256.Sum256([]byte(cluster.Name + "\x00" + cluster.Dir + "\x00" + n.Name))
	return &machine{
		name: n.Name, cores: max(int(cpu.Value()), 1), memory: uint64(memory.Value()), disk: uint64(disk.Value()),
		inodes: uint64(disk.Value()) / inodesPerByte, pids: n.PIDs,
		identity: hex.EncodeToString(sum[:16]), booted: now,
	}, nil
}

func (m *machine) info() *cadvisorapi.MachineInfo {
	id := m.identity
	uuid := strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
	boot := sha256.Sum256([]byte(id + m.booted.String()))
	b := hex.EncodeToString(boot[:16])
	return &cadvisorapi.MachineInfo{
		Timestamp: m.booted, NumCores: m.cores, NumPhysicalCores: m.cores, NumSockets: 1, CpuFrequency: 2_500_000,
		MemoryCapacity: m.memory, MachineID: id, SystemUUID: uuid,
		BootID: strings.Join([]string{b[:8], b[8:12], b[12:16], b[16:20], b[20:]}, "-"),
	}
}

func (m *machine) version() *cadvisorapi.VersionInfo {
	return &cadvisorapi.VersionInfo{
		KernelVersion: "6.1.0-userspace", ContainerOsVersion: "Linux (" + runtime.GOARCH + ")", DockerVersion: "Unknown",
	}
}

// containerManager reports the node's capacity and leaves cgroups alone: limits are the container runtime's business.
type containerManager struct {
	cm.ContainerManager
	machine *machine
	config  cm.NodeConfig
	devices *deviceManager // nil on a node without devices
}

func newContainerManager(m *machine, root string, devices *deviceManager) *containerManager {
	return &containerManager{
		ContainerManager: cm.NewStubContainerManager(), machine: m, devices: devices,
		config: cm.NodeConfig{NodeName: types.NodeName(m.name), KubeletRootDir: root, CgroupVersion: 2},
	}
}

func (c *containerManager) Start(ctx context.Context, node *corev1.Node, pods cm.ActivePodsFunc, get cm.GetNodeFunc, ready config.SourcesReady,
	status kubeletstatus.PodStatusProvider, rt internalapi.RuntimeService, isolate bool,
) error {
	if c.devices != nil {
		if err := c.devices.start(ctx, pods, ready); err != nil {
			return err
		}
	}
	return c.ContainerManager.Start(ctx, node, pods, get, ready, status, rt, isolate)
}

func (c *containerManager) GetNodeConfig() cm.NodeConfig { return c.config }

func (c *containerManager) GetHealthCheckers() []healthz.HealthChecker { return nil }

func (c *containerManager) GetCapacity(isolate bool) corev1.ResourceList {
	if !isolate {
		return corev1.ResourceList{}
	}
	return corev1.ResourceList{corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(c.machine.disk), resource.BinarySI)}
}

func (c *containerManager) GetNodeAllocatableAbsolute() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(c.machine.cores), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(int64(c.machine.memory), resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(c.machine.disk), resource.BinarySI),
	}
}

// GetPodCgroupRoot is the name under which the pods' total is asked for.
func (c *containerManager) GetPodCgroupRoot() string { return podsCgroup }
