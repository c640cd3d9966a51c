package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/chaosdaemon"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// dnsPort is the port of DNS servers.
const dnsPort = 53

// stressCommand is the subcommand of this executable that runs a stressor.
const stressCommand = "stress"

// serveChaos runs the node's chaos daemon until ctx ends.
func serveChaos(ctx context.Context, cluster *spec.Cluster, n spec.Node, netw *network.Network, rt *cri.Runtime, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find stressor program: %w", err)
	}
	pki := func(name string) string { return filepath.Join(cluster.PKI(), name) }
	return chaosdaemon.Serve(ctx, chaosdaemon.Config{
		Listen:     net.JoinHostPort(n.Loopback.String(), strconv.Itoa(cluster.Ports.ChaosDaemon)),
		TLS:        chaosdaemon.TLS{CA: pki("ca.crt"), Cert: pki("chaos.crt"), Key: pki("chaos.key")},
		Network:    &chaosNetwork{net: netw, runtime: rt, pods: map[string]*chaosPod{}},
		Runtime:    chaosRuntime{rt},
		Conditions: chaosConditions{rt},
		Stress:     []string{self, stressCommand},
		DNS: chaosdaemon.DNS{
			Listen: netip.AddrPortFrom(n.Address, dnsPort), Upstream: netip.AddrPortFrom(cluster.Network.DNS, dnsPort),
		},
		Log: log,
	})
}

// chaosNetwork is the node's network as the chaos daemon sees it.
type chaosNetwork struct {
	net     *network.Network
	runtime *cri.Runtime

	mu   sync.Mutex
	pods map[string]*chaosPod
}

func (c *chaosNetwork) Pod(sandboxID string) (chaosdaemon.Pod, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pod, ok := c.net.Pod(sandboxID)
	if !ok {
		delete(c.pods, sandboxID)
		return nil, false
	}
	got, known := c.pods[sandboxID]
	if !known || got.pod != pod {
		got = &chaosPod{pod: pod}
		c.pods[sandboxID] = got
	}
	return got, true
}

func (c *chaosNetwork) SandboxAt(addr netip.Addr) (string, bool) {
	id, err := c.runtime.SandboxAt(addr)
	return id, err == nil
}

func (c *chaosNetwork) ListenPacket(port uint16) (net.PacketConn, error) {
	return c.net.Host().ListenPacket("udp", netip.AddrPortFrom(c.net.Host().IP(), port).String())
}

func (c *chaosNetwork) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.net.Host().DialContext(ctx, network, address)
}

// chaosPod translates between the daemon's words for packet effects and the network's.
type chaosPod struct {
	pod *network.Pod

	mu      sync.Mutex
	proxied []uint16
}

func (p *chaosPod) SetIPSets(sets []chaosdaemon.IPSet) error {
	out := make([]network.IPSet, 0, len(sets))
	for _, s := range sets {
		set := network.IPSet{Name: s.Name, Type: s.Type, Nets: s.Nets, Sets: s.Sets}
		for _, m := range s.NetPorts {
			set.NetPorts = append(set.NetPorts, network.NetPort{Net: m.Net, Port: m.Port})
		}
		out = append(out, set)
	}
	return p.pod.SetIPSets(out)
}

func (p *chaosPod) SetChains(chains []chaosdaemon.Chain) error {
	var out []network.Chain
	for _, c := range chains {
		if c.Device == "lo" {
			continue // What the pod says to itself passes no filter.
		}
		direction := network.Output
		if c.Input {
			direction = network.Input
		}
		for _, m := range c.Matches {
			chain := network.Chain{Name: c.Name, Direction: direction, Target: "DROP", Match: matchOf(m)}
			if m.IPSet != "" {
				chain.IPSets = []string{m.IPSet}
			}
			out = append(out, chain)
		}
	}
	return p.pod.SetChains(out)
}

func (p *chaosPod) SetQdiscs(devices []chaosdaemon.Device) error {
	var out []network.Qdisc
	for _, d := range devices {
		if d.Name == "lo" {
			continue
		}
		for _, q := range d.All {
			out = append(out, qdiscOf(q, network.Filter{}))
		}
		for _, class := range d.Classes {
			for _, q := range class.Qdiscs {
				out = append(out, qdiscOf(q, network.Filter{IPSet: class.Match.IPSet, Match: matchOf(class.Match)}))
			}
		}
	}
	return p.pod.SetQdiscs(out)
}

func (p *chaosPod) SetProxy(ports []uint16, handle func(conn net.Conn, port uint16)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range p.proxied {
		p.pod.SetProxy(port, nil)
	}
	p.proxied = append([]uint16(nil), ports...)
	for _, port := range ports {
		p.pod.SetProxy(port, func(conn net.Conn, _ func() (net.Conn, error)) { handle(conn, port) })
	}
	return nil
}

func (p *chaosPod) DialLocal(ctx context.Context, port uint16) (net.Conn, error) {
	return p.pod.DialContext(ctx, "tcp", netip.AddrPortFrom(p.pod.IP(), port).String())
}

func matchOf(m chaosdaemon.Match) network.Match {
	return network.Match{Protocol: m.Protocol, SourcePorts: portsOf(m.SourcePorts), DestinationPorts: portsOf(m.DestinationPorts)}
}

func portsOf(ranges []chaosdaemon.PortRange) []network.PortRange {
	var out []network.PortRange
	for _, r := range ranges {
		out = append(out, network.PortRange{First: r.First, Last: r.Last})
	}
	return out
}

// bitsPerByte turns the daemon's rates, in bits, into the network's, in bytes.
const bitsPerByte = 8

func qdiscOf(q chaosdaemon.Qdisc, filter network.Filter) network.Qdisc {
	out := network.Qdisc{Filter: filter}
	if n := q.Netem; n != nil {
		out.Netem = &network.Netem{
			Delay: n.Delay, Jitter: n.Jitter, DelayCorrelation: n.DelayCorrelation, Limit: uint32(n.Limit),
			Loss: n.Loss, LossCorrelation: n.LossCorrelation, Gap: uint32(n.Gap),
			Duplicate: n.Duplicate, DuplicateCorrelation: n.DuplicateCorr, Reorder: n.Reorder, ReorderCorrelation: n.ReorderCorr,
			Corrupt: n.Corrupt, CorruptCorrelation: n.CorruptCorr, Rate: n.RateBitsPerSecond / bitsPerByte,
		}
	}
	if t := q.TBF; t != nil {
		out.TBF = &network.TBF{
			Rate: t.RateBitsPerSecond / bitsPerByte, Buffer: uint32(t.BurstBytes), Limit: uint32(t.LimitBytes),
			PeakRate: t.PeakRateBitsPerSecond / bitsPerByte, MinBurst: uint32(t.MTUBytes),
		}
	}
	return out
}

// chaosRuntime is the container runtime as the chaos daemon sees it.
type chaosRuntime struct{ *cri.Runtime }

func (r chaosRuntime) Container(_ context.Context, id string) (chaosdaemon.Container, error) {
	info, err := r.Inspect(id)
	return chaosdaemon.Container(info), err
}

func (r chaosRuntime) Sandbox(_ context.Context, pod chaosdaemon.PodRef) (string, error) {
	return r.SandboxOf(pod.UID, pod.Namespace, pod.Name)
}

func (r chaosRuntime) Kill(_ context.Context, id string) error { return r.Signal(id, syscall.SIGKILL) }

func (r chaosRuntime) Attach(_ context.Context, id string, pid int) (func(), error) {
	return r.AttachProcess(id, pid)
}

// chaosConditions are the clocks and files of containers as the chaos daemon changes them.
type chaosConditions struct{ runtime *cri.Runtime }

func (c chaosConditions) SetClocks(_ context.Context, id string, off sandbox.ClockOffsets) error {
	return c.runtime.SetClocks(id, off)
}

func (c chaosConditions) SetFileRules(_ context.Context, id string, rules []sandbox.FileRule) error {
	return c.runtime.SetFileRules(id, rules)
}

func (c chaosConditions) Mounts(_ context.Context, id, nodePath string) ([]string, error) {
	return c.runtime.MountsOf(id, nodePath)
}
