package embedded

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// Defaults of a cluster that asks for nothing.
const (
	defaultNodes  = 3
	maxNodes      = 200
	nodeCPU       = "4"
	nodeMemory    = "8Gi"
	nodeDisk      = "64Gi"
	nodePIDs      = 32768
	nodeMaxPods   = 110
	maxSocketPath = 107 // sun_path of unix(7), without the final NUL.
)

// plan fills in everything that the processes of a cluster have to agree on, but for the ports (leasePorts).
func plan(want cluster.Spec, dir string, binaries []string) (*spec.Cluster, error) {
	groups := want.NodeGroups
	if len(groups) == 0 {
		nodes := cmp.Or(want.Nodes, defaultNodes)
		if nodes < 1 || nodes > maxNodes {
			return nil, errs.Hint(errs.Newf(errs.Usage, "plan cluster: %d nodes", want.Nodes), "give a number of nodes from 1 to %d", maxNodes)
		}
		groups = slices.Repeat([]cluster.NodeGroup{{}}, nodes)
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
	all := cluster.NodeNames(groups)
	if n := len(slices.Concat(all...)); n < 1 || n > maxNodes || slices.ContainsFunc(all, func(names []string) bool { return len(names) == 0 }) {
		return nil, errs.Hint(errs.Newf(errs.Usage, "plan cluster: groups of %d nodes in all", n), "give each group a node, and all of them at most %d", maxNodes)
	}
	for i, names := range all {
		for _, name := range names {
			c.Nodes = append(c.Nodes, nodeOf(groups[i], name, len(c.Nodes)))
		}
	}
	for _, n := range c.Nodes {
		for _, socket := range []string{c.EgressSocket(n.Name), c.ControlSocket(n.Name), c.DeviceSocket(n.Name)} {
			if len(socket) > maxSocketPath {
				return nil, errs.Hint(errs.Newf(errs.Infra, "plan cluster: socket path %s has %d bytes, the kernel takes %d", socket, len(socket), maxSocketPath),
					"set TMPDIR or XDG_RUNTIME_DIR to a shorter directory")
			}
		}
	}
	return c, nil
}

// nodeOf is the node number i, from 0, of a cluster.
func nodeOf(g cluster.NodeGroup, name string, i int) spec.Node {
	n := byte(i + 1)
	node := spec.Node{
		Name: name, CPU: cmp.Or(g.CPU, nodeCPU), Memory: cmp.Or(g.Memory, nodeMemory), Disk: cmp.Or(g.Disk, nodeDisk),
		PIDs: cmp.Or(g.PIDs, nodePIDs), PodPIDs: g.PodPIDs, MaxPods: cmp.Or(g.MaxPods, nodeMaxPods), Devices: g.Devices,
		MTU: g.MTU, UplinkMTU: g.UplinkMTU,
		Address: netip.AddrFrom4([4]byte{172, 18, 0, 10 + n}),
		PodCIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, n, 0}), 24),
		// 127.0.0.0/8 is all loopback on Linux: a daemon per node can listen on one and the same port.
		Loopback: netip.AddrFrom4([4]byte{127, 0, 0, 10 + n}),
		Labels:   map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("zone-%c", 'a'+i%3)},
	}
	maps.Copy(node.Labels, g.Labels)
	for _, t := range g.Taints {
		node.Taints = append(node.Taints, spec.Taint(t))
	}
	if e := g.Eviction; e != nil {
		node.EvictionHard, node.EvictionSoft, node.EvictionGrace = e.Hard, e.Soft, e.SoftGracePeriod
	}
	return node
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

// BaseDir is where the directories of this user's clusters are.
func BaseDir() string { return record.BaseDir() }
