package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/networkpolicy"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// apiServerPort is the API server's port at the control plane's address of the userspace network.
const apiServerPort = 6443

// Run runs the node called name until ctx ends, then stops its containers and takes it off the network. It writes
// {"event":"ready"} to stdout when the API server holds the node as ready. Errors are those of the start; a kubelet that
// fails later ends the process, as upstream's does. Run may be called once in a process.
func Run(ctx context.Context, cluster *spec.Cluster, name string, stdout io.Writer, log *slog.Logger) (err error) {
	n, err := cluster.Node(name)
	if err != nil {
		return err
	}
	log = log.With("node", name)
	tuneProcess(log)
	p := pathsOf(cluster, name)
	if err := prepareHost(p, n); err != nil {
		return fmt.Errorf("prepare node %s: %w", name, err)
	}
	netw, err := network.New(networkConfig(cluster, n, log))
	if err != nil {
		return fmt.Errorf("start network of node %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, netw.Close()) }()
	g := newGate()
	cl, err := newClients(cluster, name, g)
	if err != nil {
		return err
	}
	policies, err := networkpolicy.New(cl.proxy, netw, log.With("component", "networkpolicy"))
	if err != nil {
		return fmt.Errorf("set up network policies of node %s: %w", name, err)
	}
	pods := podNetwork{netw, policies}
	disks := newAccounts(p.accounts)
	mounts := newMounter(disks)
	m, err := newMachine(cluster, n, time.Now())
	if err != nil {
		return err
	}
	relists := newRelistPace()
	rt, err := cri.New(ctx, cri.Config{
		Dir: p.runtime, Hostname: name, HostPathDir: p.host, Mountable: []string{p.kubelet, p.logs, p.host}, Network: pods,
		Account: disks.fileOf, TmpFS: mounts.tmpfs, Binaries: cluster.ProgramBinaries, DiskDir: cluster.NodeDir(name),
		Machine: cri.Machine{Memory: m.memory, PIDs: m.pids, PodPIDs: n.PodPIDs}, Logger: log.With("component", "cri"),
		Changed: relists.hurry,
	})
	if err != nil {
		return fmt.Errorf("start container runtime of node %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	dial := netw.Host().DialContext
	if err := serveEgress(ctx, cluster.EgressSocket(name), dial, log); err != nil {
		return err
	}
	if err := waitForAPIServer(ctx, cl.main); err != nil {
		return stopped(ctx, err)
	}
	startServices(ctx, cl, cluster, n, m, pods, rt, log)
	k := &kubeletNode{
		cluster: cluster, node: n, paths: p, clients: cl, runtime: rt, machine: m, gate: g, owners: newOwners(), disks: disks, mounts: mounts, dial: dial,
		traffic: pods.traffic, relists: relists,
	}
	if len(n.Devices) > 0 {
		if k.manager, err = newDeviceManager(cluster.DeviceSocket(name)); err != nil {
			return err
		}
	}
	if err := k.start(ctx); err != nil {
		return err
	}
	if err := waitForNode(ctx, cl.main, name, readiness.Node); err != nil {
		return stopped(ctx, err)
	}
	if err := k.addDevices(ctx); err != nil {
		return stopped(ctx, err)
	}
	if err := serveControl(ctx, cluster, k, log); err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(map[string]string{"event": "ready"}); err != nil {
		return fmt.Errorf("report node %s as ready: %w", name, err)
	}
	log.Info("node is ready")
	<-ctx.Done()
	log.Info("node is stopping")
	return nil
}

// prepareHost makes the directories and the files that a node has before anything runs on it.
func prepareHost(p paths, n spec.Node) error {
	if err := makeDirs(p.kubelet, p.logs, p.links, p.host, p.runtime, p.accounts); err != nil {
		return err
	}
	// Pods with dnsPolicy Default get the node's resolver: none, since nothing of the host is reachable.
	if err := os.WriteFile(p.resolvConf, nil, 0o644); err != nil {
		return fmt.Errorf("write resolver configuration: %w", err)
	}
	if err := writeHosts(p.host, n); err != nil {
		return fmt.Errorf("write hosts file: %w", err)
	}
	return nil
}

// stopped is nil when err is only that ctx ended: being stopped is no failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // As the function says.
	}
	return err
}

// firstOpen is the first descriptor after the standard streams.
const firstOpen = 3

// gcPercent keeps the node's heap close to what it holds: its memory counts three times in a cluster.
const gcPercent = 60

// tuneProcess sets what holds for the whole process: the garbage collector, where Kubernetes' own log lines go, and that no
// container inherits a descriptor that whoever started this process left open.
func tuneProcess(log *slog.Logger) {
	if err := unix.CloseRange(firstOpen, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		log.Debug("mark inherited descriptors", "error", err) // Linux before 5.11.
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	klog.SetSlogLogger(slog.New(quiet{log.Handler()}))
}

// quiet drops informational lines of Kubernetes' components unless debug lines are wanted: they are thousands.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelWarn && !q.Handler.Enabled(ctx, slog.LevelDebug) {
		return false
	}
	return q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

func networkConfig(cluster *spec.Cluster, n spec.Node, log *slog.Logger) network.Config {
	cfg := network.Config{
		NodeName: n.Name, NodeIP: n.Address, PodCIDR: n.PodCIDR, WireSocket: cluster.WireSocket(n.Name),
		MTU: n.MTU, UplinkMTU: n.UplinkMTU,
		Forwards: map[netip.AddrPort]string{
			netip.AddrPortFrom(cluster.Network.ControlPlane, apiServerPort): loopback(cluster.Ports.APIServer),
			netip.AddrPortFrom(n.Address, nodePort):                         loopback(n.KubeletPort),
		},
		KernelLog: func(message string) { logKernel(pathsOf(cluster, n.Name).host, n.Name, message, log) },
		Logger:    log.With("component", "network"),
	}
	for _, peer := range cluster.Nodes {
		if peer.Name != n.Name {
			cfg.Peers = append(cfg.Peers, network.Peer{
				Name: peer.Name, NodeIP: peer.Address, PodCIDR: peer.PodCIDR, WireSocket: cluster.WireSocket(peer.Name),
			})
		}
	}
	return cfg
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
