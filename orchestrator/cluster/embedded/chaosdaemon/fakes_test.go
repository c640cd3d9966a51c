package chaosdaemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/chaosdaemon/stress"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// TestMain lets this binary be the stressor that the daemon starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "--stress" {
		os.Exit(stress.Main(context.Background(), os.Args[2:], os.Stdin, os.Stderr))
	}
	os.Exit(m.Run())
}

type fakePod struct {
	mu      sync.Mutex
	sets    []IPSet
	chains  []Chain
	devices []Device
	ports   []uint16
	handle  func(net.Conn, uint16)
	local   map[uint16]string // the address behind each port of the pod
	err     error
}

func (p *fakePod) SetIPSets(sets []IPSet) error {
	p.sets = sets
	return p.err
}

func (p *fakePod) SetChains(chains []Chain) error {
	p.chains = chains
	return p.err
}

func (p *fakePod) SetQdiscs(devices []Device) error {
	p.devices = devices
	return p.err
}

func (p *fakePod) SetProxy(ports []uint16, handle func(net.Conn, uint16)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ports, p.handle = ports, handle
	return p.err
}

func (p *fakePod) DialLocal(ctx context.Context, port uint16) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", p.local[port])
}

type fakeNode struct {
	mu         sync.Mutex
	pods       map[string]*fakePod
	containers map[string]Container
	sandboxes  map[string]string
	killed     []string
	attached   map[int]string
	attachErr  error
	detached   atomic.Int32
	clocks     map[string]sandbox.ClockOffsets
	rules      map[string][]sandbox.FileRule
	mounts     map[string][]string
	fileErr    error
	packets    net.PacketConn
	dns        DNS
}

func (n *fakeNode) Pod(id string) (Pod, bool) {
	p, ok := n.pods[id]
	return p, ok
}

func (n *fakeNode) Container(_ context.Context, id string) (Container, error) {
	c, ok := n.containers[id]
	if !ok {
		return c, errors.New("no such container")
	}
	return c, nil
}

func (n *fakeNode) Sandbox(_ context.Context, pod PodRef) (string, error) {
	id, ok := n.sandboxes[pod.UID+pod.Namespace+"/"+pod.Name]
	if !ok {
		return "", errors.New("no such sandbox")
	}
	return id, nil
}

func (n *fakeNode) Kill(_ context.Context, id string) error {
	n.killed = append(n.killed, id)
	return nil
}

func (n *fakeNode) Attach(_ context.Context, id string, pid int) (func(), error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attached[pid] = id
	return func() { n.detached.Add(1) }, n.attachErr
}

func (n *fakeNode) SandboxAt(addr netip.Addr) (string, bool) {
	return "s1", addr == netip.MustParseAddr("127.0.0.1")
}

func (n *fakeNode) ListenPacket(uint16) (net.PacketConn, error) { return n.packets, nil }

func (n *fakeNode) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (n *fakeNode) SetClocks(_ context.Context, id string, off sandbox.ClockOffsets) error {
	n.clocks[id] = off
	return nil
}

func (n *fakeNode) SetFileRules(_ context.Context, id string, rules []sandbox.FileRule) error {
	if n.fileErr != nil {
		return n.fileErr
	}
	n.rules[id] = rules
	return nil
}

func (n *fakeNode) Mounts(_ context.Context, _, nodePath string) ([]string, error) {
	return n.mounts[nodePath], nil
}

func newNode() *fakeNode {
	return &fakeNode{
		pods:       map[string]*fakePod{"s1": {}},
		containers: map[string]Container{"c1": {ID: "c1", SandboxID: "s1", PID: 4242}},
		sandboxes:  map[string]string{"uid1/": "s1", "hotel/geo": "s1"},
		attached:   map[int]string{},
		clocks:     map[string]sandbox.ClockOffsets{},
		rules:      map[string][]sandbox.FileRule{},
	}
}

func start(t *testing.T, n *fakeNode) pb.ChaosDaemonClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := Config{
		Network: n, Runtime: n, Conditions: n, Stress: []string{os.Args[0], "--stress"},
		DNS: n.dns, Log: slog.New(slog.DiscardHandler),
	}
	return pb.NewChaosDaemonClient(connect(t, cfg, listener, grpc.WithTransportCredentials(insecure.NewCredentials())))
}

func connect(t *testing.T, cfg Config, listener net.Listener, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, cfg, listener) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})
	conn, err := grpc.NewClient(listener.Addr().String(), options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

const c1 = "containerd://c1"

func alive(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}
