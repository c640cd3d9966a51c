package cri

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// sandboxPod is one pod sandbox: an address on the network and the directory of what its containers share.
type sandboxPod struct {
	id        string
	config    *runtimeapi.PodSandboxConfig
	handler   string
	createdAt int64
	dir       string

	mu    sync.Mutex
	ready bool
	pod   Pod
	ip    string
	mtu   int
}

func (s *sandboxPod) hostNetwork() bool {
	return s.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() == runtimeapi.NamespaceMode_NODE
}

func (s *sandboxPod) state() runtimeapi.PodSandboxState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// network returns the sandbox's pod, or an error once it has stopped.
func (s *sandboxPod) network() (Pod, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready || s.pod == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "sandbox %q is not ready", s.id)
	}
	return s.pod, nil
}

func (s *sandboxPod) resolvConf() string { return filepath.Join(s.dir, "resolv.conf") }

// sharedMemorySize is what containerd gives a pod's /dev/shm, in bytes.
const sharedMemorySize = 64 << 20

// sharedMemory is the directory that the pod's containers share as /dev/shm, with an account of its own.
func (s *sandboxPod) sharedMemory() string { return filepath.Join(s.dir, "shm") }

func (s *sandboxPod) sharedMemoryAccount() string { return filepath.Join(s.dir, "shm.account") }

func (s *sandboxPod) makeSharedMemory() error {
	if err := os.Mkdir(s.sharedMemory(), 0o755); err != nil {
		return fmt.Errorf("make shared memory: %w", err)
	}
	if err := os.Chmod(s.sharedMemory(), 0o777|os.ModeSticky); err != nil { // Mkdir is subject to the umask.
		return fmt.Errorf("make shared memory: %w", err)
	}
	account, err := sandbox.OpenAccount(s.sharedMemoryAccount())
	if err != nil {
		return err
	}
	account.SetCapacity(sharedMemorySize)
	return account.Close()
}

// RunPodSandbox gives the pod its address and writes what its containers share.
func (r *Runtime) RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, handler string) (string, error) {
	id := newID()
	s := &sandboxPod{
		id: id, config: config, handler: handler, createdAt: r.clock.Now().UnixNano(),
		dir: filepath.Join(r.cfg.Dir, "sandboxes", id),
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return "", fmt.Errorf("make sandbox directory: %w", err)
	}
	if err := os.WriteFile(s.resolvConf(), []byte(resolvConf(config.GetDnsConfig())), 0o644); err != nil {
		return "", fmt.Errorf("write resolv.conf: %w", err)
	}
	if err := s.makeSharedMemory(); err != nil {
		return "", err
	}
	if err := s.makeSysctls(); err != nil {
		return "", err
	}
	if config.LogDirectory != "" {
		if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
			return "", fmt.Errorf("make pod log directory: %w", err)
		}
	}
	pod, err := r.cfg.Network.AddPod(ctx, PodNetwork{
		ID: id, Namespace: config.GetMetadata().GetNamespace(), Name: config.GetMetadata().GetName(), Labels: config.Labels,
		Annotations: config.Annotations, Sysctls: config.GetLinux().GetSysctls(), HostNetwork: s.hostNetwork(), HostPorts: hostPorts(config),
	})
	if err != nil {
		_ = os.RemoveAll(s.dir)
		return "", fmt.Errorf("failed to setup network for sandbox %q: %w", id, err)
	}
	s.pod, s.ready, s.ip, s.mtu = pod, true, pod.IP().String(), pod.MTU()
	r.mu.Lock()
	r.sandboxes[id] = s
	r.mu.Unlock()
	return id, r.store.saveSandbox(s)
}

// hostPorts are the port mappings that are of the node; the kubelet lists every port of every container.
func hostPorts(config *runtimeapi.PodSandboxConfig) []HostPort {
	var out []HostPort
	for _, m := range config.GetPortMappings() {
		if m.HostPort != 0 {
			out = append(out, HostPort{Protocol: m.Protocol.String(), Address: m.HostIp, Port: m.HostPort, To: m.ContainerPort})
		}
	}
	return out
}

// StopPodSandbox ends the pod's containers and takes it off the network. It may be called more than once.
func (r *Runtime) StopPodSandbox(ctx context.Context, id string) error {
	s, err := r.sandbox(id)
	if err != nil {
		return nil //nolint:nilerr // A sandbox that is gone has stopped.
	}
	var all sync.WaitGroup
	for _, c := range r.containersOf(s.id) {
		all.Go(func() { _ = c.stop(ctx, 0) })
	}
	all.Wait()
	s.mu.Lock()
	stopped := !s.ready
	s.ready, s.pod = false, nil
	s.mu.Unlock()
	if stopped {
		return nil
	}
	if err := r.cfg.Network.RemovePod(s.id); err != nil {
		return fmt.Errorf("failed to destroy network for sandbox %q: %w", s.id, err)
	}
	return r.store.saveSandbox(s)
}

// RemovePodSandbox removes the sandbox and its containers. Removing an unknown sandbox is no error.
func (r *Runtime) RemovePodSandbox(ctx context.Context, id string) error {
	s, err := r.sandbox(id)
	if err != nil {
		return nil //nolint:nilerr // As the method says.
	}
	if err := r.StopPodSandbox(ctx, s.id); err != nil {
		return err
	}
	for _, c := range r.containersOf(s.id) {
		if err := r.RemoveContainer(ctx, c.id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	delete(r.sandboxes, s.id)
	r.mu.Unlock()
	r.store.remove(s.id)
	r.tmpfs.drop(s.id)
	return os.RemoveAll(s.dir)
}

// PodSandboxStatus reports the sandbox.
func (r *Runtime) PodSandboxStatus(_ context.Context, id string, _ bool) (*runtimeapi.PodSandboxStatusResponse, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	st := &runtimeapi.PodSandboxStatus{
		Id: s.id, Metadata: s.config.Metadata, State: s.state(), CreatedAt: s.createdAt,
		Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler,
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{
			Options: s.config.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		}},
		Network: &runtimeapi.PodSandboxNetworkStatus{},
	}
	if !s.hostNetwork() {
		st.Network.Ip = s.ip
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: st, Timestamp: r.clock.Now().UnixNano()}, nil
}

// ListPodSandbox lists sandboxes, newest first as the kubelet expects no order in particular.
func (r *Runtime) ListPodSandbox(_ context.Context, f *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	var out []*runtimeapi.PodSandbox
	for _, s := range r.snapshotSandboxes() {
		state := s.state()
		if f != nil && (!idMatches(s.id, f.Id) || f.State != nil && f.State.State != state || !labelsMatch(s.config.Labels, f.LabelSelector)) {
			continue
		}
		out = append(out, &runtimeapi.PodSandbox{
			Id: s.id, Metadata: s.config.Metadata, State: state, CreatedAt: s.createdAt,
			Labels: s.config.Labels, Annotations: s.config.Annotations, RuntimeHandler: s.handler,
		})
	}
	slices.SortFunc(out, func(a, b *runtimeapi.PodSandbox) int { return strings.Compare(a.Id, b.Id) })
	return out, nil
}

// UpdatePodSandboxResources accepts pod-level resources: limits are held per container.
func (r *Runtime) UpdatePodSandboxResources(context.Context, *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}

// sandbox finds a sandbox by its identifier or an unambiguous prefix of it.
func (r *Runtime) sandbox(id string) (*sandboxPod, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s, ok := r.sandboxes[id]; ok {
		return s, nil
	}
	return nil, status.Errorf(codes.NotFound, "an error occurred when try to find sandbox %q: not found", id)
}

func (r *Runtime) containersOf(sandboxID string) []*container {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []*container
	for _, c := range r.containers {
		if c.sandbox.id == sandboxID {
			out = append(out, c)
		}
	}
	return out
}

func resolvConf(dns *runtimeapi.DNSConfig) string {
	var b strings.Builder
	if len(dns.GetSearches()) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(dns.Searches, " "))
	}
	for _, s := range dns.GetServers() {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(dns.GetOptions()) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(dns.Options, " "))
	}
	return b.String()
}

func idMatches(id, want string) bool { return want == "" || id == want }

func labelsMatch(labels, want map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return true
}
