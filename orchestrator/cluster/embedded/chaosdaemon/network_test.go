package chaosdaemon

import (
	"net/netip"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFlushIPSets(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	_, err := client.FlushIPSets(t.Context(), &pb.IPSetsRequest{ContainerId: c1, Ipsets: []*pb.IPSet{
		{Name: "a_net", Type: "hash:net", Cidrs: []string{"10.244.1.7/32", "10.0.0.0/8", "1.2.3.4"}},
		{Name: "a_netport_with_a_name_that_is_too_long", Type: "hash:net,port", CidrAndPorts: []*pb.CidrAndPort{{Cidr: "1.1.1.1/32", Port: 80}}},
		{Name: "a_set", Type: "list:set", SetNames: []string{"a_net", "a_netport_with_a_name_that_is_too_long"}},
	}})
	require.NoError(t, err)
	require.Equal(t, []IPSet{
		{Name: "a_net", Type: HashNet, Nets: []netip.Prefix{
			netip.MustParsePrefix("10.244.1.7/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("1.2.3.4/32"),
		}},
		{Name: "a_netport_with_a_name_that_is_t", Type: HashNetPort, NetPorts: []NetPort{{netip.MustParsePrefix("1.1.1.1/32"), 80}}},
		{Name: "a_set", Type: ListSet, Sets: []string{"a_net", "a_netport_with_a_name_that_is_t"}},
	}, n.pods["s1"].sets)

	_, err = client.FlushIPSets(t.Context(), &pb.IPSetsRequest{ContainerId: c1, Ipsets: []*pb.IPSet{{Name: "a_net", Type: "hash:net"}}})
	require.NoError(t, err)
	require.Len(t, n.pods["s1"].sets, 3, "sets that a request does not name stay")
	require.Empty(t, n.pods["s1"].sets[0].Nets, "a set that it names is replaced")

	_, err = client.FlushIPSets(t.Context(), &pb.IPSetsRequest{ContainerId: c1, Ipsets: []*pb.IPSet{{Name: "x", Type: "hash:mac"}}})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.FlushIPSets(t.Context(), &pb.IPSetsRequest{ContainerId: "containerd://gone", PodUid: "uid1"})
	require.NoError(t, err, "a pod without its container still has a network")
	_, err = client.FlushIPSets(t.Context(), &pb.IPSetsRequest{ContainerId: "containerd://gone", PodUid: "uid2"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestSetIptablesChains(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	_, err := client.SetIptablesChains(t.Context(), &pb.IptablesChainsRequest{ContainerId: c1, Chains: []*pb.Chain{
		{Name: "OUTPUT/x_", Direction: pb.Chain_OUTPUT, Ipsets: []string{"s"}, Target: "DROP"},
		{Name: "INPUT/x_", Direction: pb.Chain_INPUT, Target: "DROP", Protocol: "tcp", DestinationPorts: "80,8000:8100", Device: "lo"},
	}})
	require.NoError(t, err)
	require.Equal(t, []Chain{
		{Name: "OUTPUT/x_", Device: "eth0", Matches: []Match{{IPSet: "s"}}},
		{Name: "INPUT/x_", Device: "lo", Input: true, Matches: []Match{{Protocol: "tcp", DestinationPorts: []PortRange{{80, 80}, {8000, 8100}}}}},
	}, n.pods["s1"].chains)
	_, err = client.SetIptablesChains(t.Context(), &pb.IptablesChainsRequest{ContainerId: c1})
	require.NoError(t, err)
	require.Empty(t, n.pods["s1"].chains)
	for _, bad := range []*pb.Chain{
		{Name: "x", Target: "ACCEPT"},
		{Name: "x", Target: "DROP", Protocol: "tcp", SourcePorts: "http"},
		{Name: "x", Target: "DROP", Direction: 7},
	} {
		_, err = client.SetIptablesChains(t.Context(), &pb.IptablesChainsRequest{ContainerId: c1, Chains: []*pb.Chain{bad}})
		require.Equal(t, codes.InvalidArgument, status.Code(err), bad.String())
	}
}

func TestSetTcs(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	delay := func(d string) *pb.Netem { return &pb.Netem{Time: d} }
	_, err := client.SetTcs(t.Context(), &pb.TcsRequest{ContainerId: c1, Tcs: []*pb.Tc{
		{Type: pb.Tc_NETEM, Netem: delay("50ms")},
		{Type: pb.Tc_NETEM, Netem: delay("60ms"), Ipset: "A"},
		{Type: pb.Tc_BANDWIDTH, Tbf: &pb.Tbf{Rate: "100kbps", Limit: 20000, Buffer: 10000, PeakRate: 1000000, MinBurst: 1600}},
		{Type: pb.Tc_NETEM, Netem: delay("70ms"), Ipset: "B"},
		{Type: pb.Tc_NETEM, Netem: &pb.Netem{Loss: 25, LossCorr: 10, Duplicate: 5, Corrupt: 1, Rate: "1mbit", Limit: 7, Reorder: 50}, Ipset: "A"},
		{Type: pb.Tc_NETEM, Netem: &pb.Netem{Time: "0m1s", Jitter: "5ms", DelayCorr: 25, Reorder: 50, ReorderCorr: 5, Gap: 3}, Device: "lo"},
	}})
	require.NoError(t, err)
	ms := func(n int) *Netem { return &Netem{Delay: time.Duration(n) * time.Millisecond, Limit: 1000} }
	require.Equal(t, []Device{
		{
			Name: "eth0",
			All:  []Qdisc{{Netem: ms(50)}, {TBF: &TBF{RateBitsPerSecond: 800000, BurstBytes: 10000, LimitBytes: 20000, PeakRateBitsPerSecond: 1000000, MTUBytes: 1600}}},
			Classes: []Class{
				{Match: Match{IPSet: "A"}, Qdiscs: []Qdisc{{Netem: ms(60)}, {Netem: &Netem{
					Loss: 25, LossCorrelation: 10, Duplicate: 5, Corrupt: 1, RateBitsPerSecond: 1000000, Limit: 7,
				}}}},
				{Match: Match{IPSet: "B"}, Qdiscs: []Qdisc{{Netem: ms(70)}}},
			},
		},
		{Name: "lo", All: []Qdisc{{Netem: &Netem{
			Delay: time.Second, Jitter: 5 * time.Millisecond, DelayCorrelation: 25, Reorder: 50, ReorderCorr: 5, Gap: 3, Limit: 1000,
		}}}},
	}, n.pods["s1"].devices)
	_, err = client.SetTcs(t.Context(), &pb.TcsRequest{ContainerId: c1})
	require.NoError(t, err)
	require.Empty(t, n.pods["s1"].devices)
	for _, bad := range []*pb.Tc{
		{Type: pb.Tc_NETEM},
		{Type: pb.Tc_BANDWIDTH},
		{Type: pb.Tc_NETEM, Netem: delay("-1s")},
		{Type: pb.Tc_NETEM, Netem: &pb.Netem{Rate: "fast"}},
		{Type: pb.Tc_BANDWIDTH, Tbf: &pb.Tbf{Rate: "1mbps"}},
	} {
		_, err := client.SetTcs(t.Context(), &pb.TcsRequest{ContainerId: c1, Tcs: []*pb.Tc{bad}})
		require.Equal(t, codes.InvalidArgument, status.Code(err), bad.String())
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]uint64{
		"1000": 1000, "1000bit": 1000, "1bps": 8, "100kbps": 800000, "1mbit": 1e6, "1Mbps": 8e6, "2gbit": 2e9,
		"1kibit": 1024, "1MiBps": 8 << 20, "1.5mbit": 1500000, "1k": 1000,
	} {
		got, err := rate(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "mbps", "1xbit", "1 parsec", "-1mbit"} {
		_, err := rate(in)
		require.Error(t, err, in)
	}
}
