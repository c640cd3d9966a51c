package embedded

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// Defaults of a cluster that asks for nothing.
const (
	defaultNodes  = 3
	maxNodes      = 200
	nodeCPU       = "4"
	nodeMemory    = "8Gi"
	nodeMaxPods   = 110
	maxSocketPath = 107 // sun_path of unix(7), without the final NUL.
)

// plan fills in everything that the processes of a cluster have to agree on, but for the ports (leasePorts).
func plan(want cluster.Spec, dir string, binaries []string) (*spec.Cluster, error) {
	nodes := want.Nodes
	if nodes == 0 {
		nodes = defaultNodes
	}
	if nodes < 1 || nodes > maxNodes {
		return nil, errs.Hint(errs.Newf(errs.Usage, "plan cluster: %d nodes", want.Nodes), "give a number of nodes from 1 to %d", maxNodes)
	}
	timing, err := timingOf(want.Fidelity)
	if err != nil {
		return nil, err
	}
	c := &spec.Cluster{
		Name: want.Name, Dir: dir, Timing: timing, ProgramBinaries: binaries,
		Network: spec.Network{
			PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"),
			ControlPlane: netip.MustParseAddr("172.18.0.2"), DNS: netip.MustParseAddr("10.96.0.10"), Domain: "cluster.local",
		},
	}
	for i := range nodes {
		n := i + 1
		name := fmt.Sprintf("node-%d", n)
		c.Nodes = append(c.Nodes, spec.Node{
			Name: name, CPU: nodeCPU, Memory: nodeMemory, MaxPods: nodeMaxPods,
			Address: netip.AddrFrom4([4]byte{172, 18, 0, byte(10 + n)}),
			PodCIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(n), 0}), 24),
			// 127.0.0.0/8 is all loopback on Linux: a daemon per node can listen on one and the same port.
			Loopback: netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + n)}),
			Labels:   map[string]string{"topology.kubernetes.io/zone": fmt.Sprintf("zone-%c", 'a'+i%3)},
		})
	}
	if longest := c.EgressSocket(c.Nodes[nodes-1].Name); len(longest) > maxSocketPath {
		return nil, errs.Hint(errs.Newf(errs.Infra, "plan cluster: socket path %s has %d bytes, the kernel takes %d", longest, len(longest), maxSocketPath),
			"set TMPDIR or XDG_RUNTIME_DIR to a shorter directory")
	}
	return c, nil
}

func timingOf(fidelity string) (spec.Timing, error) {
	switch fidelity {
	case "", "fast":
		return spec.Fast(), nil
	case "production":
		return spec.Production(), nil
	}
	return spec.Timing{}, errs.Hint(errs.Newf(errs.Usage, "plan cluster: unknown fidelity %q", fidelity), "choose fast or production")
}

// BaseDir is where the directories of this user's clusters are: short, because unix sockets are in them.
func BaseDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "gameday")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("gameday-%d", os.Getuid()))
}
