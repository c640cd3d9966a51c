package embedded

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

func TestPlanGivesEveryNodeItsOwn(t *testing.T) {
	t.Parallel()
	c, err := plan(cluster.Spec{Name: "x", Nodes: 5}, "/tmp/x", nil)
	require.NoError(t, err)
	require.Len(t, c.Nodes, 5)
	seen := map[any]bool{}
	for _, n := range c.Nodes {
		for _, v := range []any{n.Name, n.Address, n.PodCIDR, n.Loopback, n.KubeletPort} {
			require.False(t, seen[v], "%v is given twice", v)
			seen[v] = true
		}
		require.True(t, c.Network.PodCIDR.Contains(n.PodCIDR.Addr()))
	}
	for _, port := range []int{c.Ports.APIServer, c.Ports.EtcdClient, c.Ports.EtcdPeer, c.Ports.Webhook, c.Ports.ChaosDaemon} {
		require.False(t, seen[port], "port %d is given twice", port)
		seen[port] = true
	}
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
