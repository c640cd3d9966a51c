package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fakeNetwork gives addresses and holds the sandbox sockets open.
type fakeNetwork struct {
	mu     sync.Mutex
	pods   map[string]*fakePod
	served int
	asked  []PodNetwork
	refuse error // what AddPod says.
}

type fakePod struct {
	net  *fakeNetwork
	ip   netip.Addr
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (n *fakeNetwork) AddPod(_ context.Context, pod PodNetwork) (Pod, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked = append(n.asked, pod); n.refuse != nil {
		return nil, n.refuse
	}
	if n.pods == nil {
		n.pods = map[string]*fakePod{}
	}
	p := &fakePod{net: n, ip: netip.AddrFrom4([4]byte{10, 0, 0, byte(len(n.pods) + 1)})}
	n.pods[pod.ID] = p
	return p, nil
}

func (n *fakeNetwork) RemovePod(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pods, id)
	return nil
}

func (n *fakeNetwork) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.pods)
}

func (p *fakePod) MTU() int { return 1450 }

func (p *fakePod) IP() netip.Addr { return p.ip }

func (p *fakePod) Serve(conn *net.UnixConn) {
	p.net.mu.Lock()
	p.net.served++
	p.net.mu.Unlock()
	_, _ = conn.Read(make([]byte, 1))
}

func (p *fakePod) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if p.dial == nil {
		return nil, errors.New("connection refused")
	}
	return p.dial(ctx, network, address)
}

type fixture struct {
	*Runtime
	t       *testing.T
	network *fakeNetwork
	dir     string
	created int
	changed func() // Config.Changed.
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, network: &fakeNetwork{}, dir: t.TempDir()}
	f.open()
	return f
}

// open starts the runtime on the fixture's directory.
func (f *fixture) open() {
	f.t.Helper()
	r, err := New(context.Background(), Config{
		Dir: filepath.Join(f.dir, "cri"), Hostname: "node-1", HostPathDir: filepath.Join(f.dir, "root"), Mountable: []string{filepath.Join(f.dir, "kubelet")},
		Network: f.network, Binaries: []string{os.Args[0]}, MemoryCheck: 10 * time.Millisecond,
		Changed: f.changed,
	})
	require.NoError(f.t, err)
	f.Runtime = r
	f.t.Cleanup(func() { require.NoError(f.t, r.Close()) })
}

func (f *fixture) pod() string {
	f.t.Helper()
	id, err := f.RunPodSandbox(context.Background(), &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "pod", Uid: "uid", Namespace: "default"}, Hostname: "web-0",
		LogDirectory: filepath.Join(f.dir, "logs"), DnsConfig: &runtimeapi.DNSConfig{Servers: []string{"10.96.0.10"}, Searches: []string{"svc"}, Options: []string{"ndots:5"}},
		Labels: map[string]string{"app": "web"},
	}, "")
	require.NoError(f.t, err)
	return id
}

func (f *fixture) create(pod string, change func(*runtimeapi.ContainerConfig), args ...string) string {
	f.t.Helper()
	spec := &runtimeapi.ImageSpec{Image: "registry.local/test/app:1.0"}
	_, err := f.ImageService().PullImage(context.Background(), spec, nil, nil)
	require.NoError(f.t, err)
	f.created++
	cfg := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "c"}, Image: spec, Args: args, LogPath: fmt.Sprintf("c/%d.log", f.created), Linux: &runtimeapi.LinuxContainerConfig{},
	}
	if change != nil {
		change(cfg)
	}
	id, err := f.CreateContainer(context.Background(), pod, cfg, nil)
	require.NoError(f.t, err)
	return id
}

// start creates and starts a container in a pod of its own.
func (f *fixture) start(change func(*runtimeapi.ContainerConfig), args ...string) string {
	f.t.Helper()
	id := f.create(f.pod(), change, args...)
	require.NoError(f.t, f.StartContainer(context.Background(), id))
	return id
}

func (f *fixture) status(id string) *runtimeapi.ContainerStatus {
	f.t.Helper()
	resp, err := f.ContainerStatus(context.Background(), id, false)
	require.NoError(f.t, err)
	return resp.Status
}

// ended waits for the container to end.
func (f *fixture) ended(id string) *runtimeapi.ContainerStatus {
	f.t.Helper()
	c, err := f.container(id)
	require.NoError(f.t, err)
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		require.Fail(f.t, "container did not end")
	}
	return f.status(id)
}

// logged waits until the container's log holds text.
func (f *fixture) logged(id, text string) string {
	f.t.Helper()
	var log string
	require.Eventually(f.t, func() bool {
		data, _ := os.ReadFile(f.status(id).LogPath)
		log = string(data)
		return strings.Contains(log, text)
	}, 10*time.Second, 5*time.Millisecond)
	return log
}
