package cri

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubelet/pkg/cri/streaming"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// Pod is one pod on the userspace network.
type Pod interface {
	// IP is the pod's address.
	IP() netip.Addr
	// MTU is that of the pod's eth0.
	MTU() int
	// Serve speaks the sandbox protocol with one container process until conn closes.
	Serve(conn *net.UnixConn)
	// DialContext dials from inside the pod.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// PodNetwork is what a pod asks of the network.
type PodNetwork struct {
	// ID is the sandbox's.
	ID              string
	Namespace, Name string
	Labels          map[string]string
	Annotations     map[string]string
	// Sysctls are those of the pod's security context.
	Sysctls     map[string]string
	HostNetwork bool
	// HostPorts are the ports of the node that its containers ask for.
	HostPorts []HostPort
}

// HostPort is a port of the node that leads to a container's.
type HostPort struct {
	// Protocol is TCP, UDP or SCTP.
	Protocol string
	// Address is the node's address that it is on; "" means all.
	Address string
	// Port is the node's, To the container's.
	Port, To int32
}

// Network makes and removes pods. It is safe for concurrent use.
type Network interface {
	// AddPod gives a pod a stack of its own, or the node's own when it asks for the host's network.
	AddPod(ctx context.Context, pod PodNetwork) (Pod, error)
	// RemovePod takes the pod off the network; its connections are reset. Removing an unknown pod is no error.
	RemovePod(id string) error
}

// Config is what a Runtime needs.
type Config struct {
	// Dir is the runtime's own directory: container roots and records.
	Dir string
	// Hostname is the node's. Pods on its network have no other.
	Hostname string
	// HostPathDir is the node's root directory: mounts of host paths outside Mountable are looked up below it.
	HostPathDir string
	// Mountable are host directories whose content may be mounted into containers as it is, for example the kubelet's root.
	Mountable []string
	// Account returns the account (sandbox.OpenAccount) of the volume that holds a host path, or "" when nothing limits it.
	// nil limits nothing.
	Account func(hostPath string) string
	// TmpFS reports whether a host path is on a tmpfs of the node. nil says that none is.
	TmpFS func(hostPath string) bool
	// Network holds the pods.
	Network Network
	// Binaries are the program binaries that hold the images.
	Binaries []string
	// DiskDir is what DiskUsage counts: the node's whole directory. Empty means Dir.
	DiskDir string
	Machine Machine
	// MemoryCheck is after how long at most memory limits are compared with use again. 0 means 250 ms.
	MemoryCheck time.Duration
	// Changed is called whenever a pod or container has come, changed its state, or gone. It must not block. nil is not called.
	Changed func()
	Clock   clock.WithTicker
	Logger  *slog.Logger
}

// Runtime is the container runtime of one node. It implements internalapi.RuntimeService and
// internalapi.ImageManagerService, and is safe for concurrent use.
type Runtime struct {
	cfg    Config
	log    *slog.Logger
	clock  clock.WithTicker
	images *imageStore
	store  *store
	stream streaming.Server

	stop context.CancelFunc
	done sync.WaitGroup

	mu         sync.RWMutex
	sandboxes  map[string]*sandboxPod
	containers map[string]*container
	clocks     sandbox.ClockOffsets // Of the node.
	closed     bool

	governor *governor
	spent    spentCPU
	disk     diskCache
	tmpfs    tmpfsBooks
}

var (
	_ internalapi.RuntimeService      = (*Runtime)(nil)
	_ internalapi.ImageManagerService = (*imageService)(nil)
)

// New starts a runtime: it asks the program binaries for their images, takes over the records of an earlier run, and
// listens for exec, attach and port-forward on a loopback port. Close ends it.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if cfg.Clock == nil {
		cfg.Clock = clock.RealClock{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.DiskDir == "" {
		cfg.DiskDir = cfg.Dir
	}
	if cfg.MemoryCheck == 0 {
		cfg.MemoryCheck = 250 * time.Millisecond
	}
	for _, dir := range []string{cfg.Dir, cfg.HostPathDir} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("make runtime directory: %w", err)
		}
	}
	images, err := loadImages(ctx, cfg.Binaries, cfg.Clock)
	if err != nil {
		return nil, err
	}
	r := &Runtime{
		cfg: cfg, log: cfg.Logger, clock: cfg.Clock, images: images,
		store:     &store{dir: filepath.Join(cfg.Dir, "records"), changed: cfg.Changed},
		sandboxes: map[string]*sandboxPod{}, containers: map[string]*container{}, governor: newGovernor(),
	}
	if err := r.takeOver(); err != nil {
		return nil, err
	}
	if err := r.serveStreams(); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done.Go(func() { r.govern(ctx) })
	return r, nil
}

// Close ends every container as a node that shuts down does: SIGTERM, a short grace, SIGKILL; then it takes the pods off
// the network. Close may be called more than once.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range r.snapshotContainers() {
		all.Go(func() { _ = c.stop(context.Background(), shutdownGrace) })
	}
	all.Wait()
	r.stop()
	for _, s := range r.snapshotSandboxes() {
		if err := r.cfg.Network.RemovePod(s.id); err != nil {
			r.log.Warn("remove pod from network", "pod", s.id, "error", err)
		}
	}
	err := r.stream.Stop()
	r.done.Wait()
	return err
}

// shutdownGrace is what containers get between SIGTERM and SIGKILL when the whole node stops.
const shutdownGrace = 400 * time.Millisecond

// ImageService is the image side of the runtime.
func (r *Runtime) ImageService() internalapi.ImageManagerService { return &imageService{r} }

// Version reports the runtime's name and version: those of the runtime that most clusters have, because nodes show them to
// everybody, and because Chaos Mesh takes the name from container ids to choose its client.
func (r *Runtime) Version(context.Context, string) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "2.1.4", RuntimeApiVersion: "v1",
	}, nil
}

// Status reports the runtime and its network as ready.
func (r *Runtime) Status(context.Context, bool) (*runtimeapi.StatusResponse, error) {
	return &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
			{Type: runtimeapi.RuntimeReady, Status: true},
			{Type: runtimeapi.NetworkReady, Status: true},
		}},
		RuntimeHandlers: []*runtimeapi.RuntimeHandler{{Name: ""}},
		Features:        &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true},
	}, nil
}

// UpdateRuntimeConfig takes the pod CIDR that the control plane assigned; the network already has its own plan.
func (r *Runtime) UpdateRuntimeConfig(context.Context, *runtimeapi.RuntimeConfig) error { return nil }

// RuntimeConfig reports the cgroup driver, which nothing here uses.
func (r *Runtime) RuntimeConfig(context.Context) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{
		Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_CGROUPFS},
	}, nil
}

func (r *Runtime) snapshotContainers() []*container {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*container, 0, len(r.containers))
	for _, c := range r.containers {
		out = append(out, c)
	}
	return out
}

func (r *Runtime) snapshotSandboxes() []*sandboxPod {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*sandboxPod, 0, len(r.sandboxes))
	for _, s := range r.sandboxes {
		out = append(out, s)
	}
	return out
}

// newID returns a random identifier as container runtimes make them: 64 hexadecimal digits.
func newID() string { return random.Hex(32) }
