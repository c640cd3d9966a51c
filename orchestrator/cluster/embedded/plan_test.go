package embedded

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func TestPlanGivesEveryNodeItsOwn(t *testing.T) {
	t.Parallel()
	c, err := plan(cluster.Spec{Name: "x", Nodes: 5}, "/tmp/x", nil)
	require.NoError(t, err)
	require.Len(t, c.Nodes, 5)
	seen := map[any]bool{}
	for _, n := range c.Nodes {
		for _, v := range []any{n.Name, n.Address, n.PodCIDR, n.Loopback} {
			require.False(t, seen[v], "%v is given twice", v)
			seen[v] = true
		}
		require.True(t, c.Network.PodCIDR.Contains(n.PodCIDR.Addr()))
	}
}

func TestClustersShareNoPort(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 100 {
		c := &spec.Cluster{Nodes: make([]spec.Node, 3)}
		held, err := leasePorts(c)
		require.NoError(t, err)
		t.Cleanup(held.end)
		for _, port := range []int{
			c.Ports.APIServer, c.Ports.EtcdClient, c.Ports.EtcdPeer, c.Ports.Webhook, c.Ports.ChaosDaemon,
			c.Nodes[0].KubeletPort, c.Nodes[1].KubeletPort, c.Nodes[2].KubeletPort,
		} {
			require.False(t, seen[port], "port %d is given twice", port)
			seen[port] = true
		}
	}
}

func TestLeasedPortIsGivenBack(t *testing.T) {
	t.Parallel()
	c := &spec.Cluster{}
	held, err := leasePorts(c)
	require.NoError(t, err)
	_, err = leasePort(c.Ports.APIServer)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	held.end()
	again, err := leasePort(c.Ports.APIServer)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestPortInUseIsNotLeased(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = leasePort(l.Addr().(*net.TCPAddr).Port)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec  cluster.Spec
		dir   string
		want  string
		party errs.Party
	}{
		"negative nodes":   {spec: cluster.Spec{Nodes: -1}, dir: "/tmp/x", want: "-1 nodes", party: errs.Usage},
		"too many nodes":   {spec: cluster.Spec{Nodes: 1000}, dir: "/tmp/x", want: "1000 nodes", party: errs.Usage},
		"unknown fidelity": {spec: cluster.Spec{Fidelity: "warp"}, dir: "/tmp/x", want: `unknown fidelity "warp"`, party: errs.Usage},
		"long directory":   {dir: "/tmp/" + strings.Repeat("long/", 20), want: "the kernel takes 107", party: errs.Infra},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan(c.spec, c.dir, nil)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.party, errs.PartyOf(err))
			require.NotEmpty(t, errs.HintOf(err))
		})
	}
}

func TestNodesHaveTheirMTU(t *testing.T) {
	t.Parallel()
	c, err := plan(cluster.Spec{Name: "x", NodeGroups: []cluster.NodeGroup{{MTU: 1450, UplinkMTU: 1400}, {}}}, "/tmp/x", nil)
	require.NoError(t, err)
	require.Equal(t, []int{1450, 1400, 0, 0}, []int{c.Nodes[0].MTU, c.Nodes[0].UplinkMTU, c.Nodes[1].MTU, c.Nodes[1].UplinkMTU})
}
