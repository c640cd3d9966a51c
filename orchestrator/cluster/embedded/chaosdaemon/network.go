package chaosdaemon

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// defaultDevice is the device of a pod, where a request names none.
const defaultDevice = "eth0"

// maxSetName is the longest name that ipset(8) takes, in bytes.
const maxSetName = 31

// FlushIPSets replaces the address sets that it names; others stay.
func (d *daemon) FlushIPSets(ctx context.Context, req *pb.IPSetsRequest) (*emptypb.Empty, error) {
	sets := make([]IPSet, 0, len(req.GetIpsets()))
	for _, in := range req.GetIpsets() {
		set, err := ipSet(in)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "flush ipset %s: %v", in.GetName(), err)
		}
		sets = append(sets, set)
	}
	pod, state, err := d.pod(ctx, req.GetContainerId(), req.GetPodUid())
	if err != nil {
		return nil, err
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	for _, set := range sets {
		state.sets[set.Name] = set
	}
	all := slices.SortedFunc(maps.Values(state.sets), func(a, b IPSet) int { return cmp.Compare(a.Name, b.Name) })
	if err := pod.SetIPSets(all); err != nil {
		return nil, status.Errorf(codes.Internal, "flush ipsets: %v", err)
	}
	return &emptypb.Empty{}, nil
}

// SetIptablesChains replaces every packet filter of the pod.
func (d *daemon) SetIptablesChains(ctx context.Context, req *pb.IptablesChainsRequest) (*emptypb.Empty, error) {
	chains := make([]Chain, 0, len(req.GetChains()))
	for _, in := range req.GetChains() {
		c, err := chain(in)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "set chain %s: %v", in.GetName(), err)
		}
		chains = append(chains, c)
	}
	pod, state, err := d.pod(ctx, req.GetContainerId(), req.GetPodUid())
	if err != nil {
		return nil, err
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	if err := pod.SetChains(chains); err != nil {
		return nil, status.Errorf(codes.Internal, "set chains: %v", err)
	}
	return &emptypb.Empty{}, nil
}

// SetTcs replaces all queueing of the pod.
func (d *daemon) SetTcs(ctx context.Context, req *pb.TcsRequest) (*emptypb.Empty, error) {
	devices, err := queueing(req.GetTcs())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "set tcs: %v", err)
	}
	pod, state, err := d.pod(ctx, req.GetContainerId(), req.GetPodUid())
	if err != nil {
		return nil, err
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	if err := pod.SetQdiscs(devices); err != nil {
		return nil, status.Errorf(codes.Internal, "set tcs: %v", err)
	}
	return &emptypb.Empty{}, nil
}

func ipSet(in *pb.IPSet) (IPSet, error) {
	out := IPSet{Name: setName(in.GetName()), Type: in.GetType()}
	if out.Name == "" {
		return out, status.Error(codes.InvalidArgument, "it has no name")
	}
	switch out.Type {
	case ListSet:
		for _, name := range in.GetSetNames() {
			out.Sets = append(out.Sets, setName(name))
		}
	case HashNet:
		for _, cidr := range in.GetCidrs() {
			net, err := prefix(cidr)
			if err != nil {
				return out, err
			}
			out.Nets = append(out.Nets, net)
		}
	case HashNetPort:
		for _, member := range in.GetCidrAndPorts() {
			net, err := prefix(member.GetCidr())
			if err != nil {
				return out, err
			}
			if member.GetPort() > 65535 {
				return out, status.Errorf(codes.InvalidArgument, "port %d is out of range", member.GetPort())
			}
			out.NetPorts = append(out.NetPorts, NetPort{net, uint16(member.GetPort())})
		}
	default:
		return out, status.Errorf(codes.InvalidArgument, "unexpected IP set type: %s", out.Type)
	}
	return out, nil
}

func setName(name string) string { return name[:min(len(name), maxSetName)] }

// prefix reads a CIDR or a bare address; host bits are dropped, as ipset(8) does.
func prefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, status.Errorf(codes.InvalidArgument, "read network %q: %v", s, err)
	}
	return p.Masked(), nil
}

func chain(in *pb.Chain) (Chain, error) {
	out := Chain{Name: in.GetName(), Device: cmp.Or(in.GetDevice(), defaultDevice)}
	if in.GetTarget() != "DROP" {
		return out, status.Errorf(codes.InvalidArgument, "target %q is not supported (only DROP)", in.GetTarget())
	}
	if in.GetTcpFlags() != "" {
		return out, status.Error(codes.InvalidArgument, "TCP flags are not supported")
	}
	switch in.GetDirection() {
	case pb.Chain_INPUT:
		out.Input = true
	case pb.Chain_OUTPUT:
	default:
		return out, status.Errorf(codes.InvalidArgument, "unknown chain direction %d", in.GetDirection())
	}
	m, err := match("", in.GetProtocol(), in.GetSourcePorts(), in.GetDestinationPorts())
	if err != nil {
		return out, err
	}
	if len(in.GetIpsets()) == 0 {
		out.Matches = []Match{m}
	}
	for _, set := range in.GetIpsets() {
		m.IPSet = setName(set)
		out.Matches = append(out.Matches, m)
	}
	return out, nil
}

// match reads the common part of a chain and of a tc filter. Ports without a protocol count for nothing, as in Chaos Mesh.
func match(set, protocol, source, destination string) (Match, error) {
	m := Match{IPSet: setName(set), Protocol: protocol}
	if protocol == "" {
		return m, nil
	}
	var err error
	if m.SourcePorts, err = ports(source); err != nil {
		return m, err
	}
	m.DestinationPorts, err = ports(destination)
	return m, err
}

// ports reads iptables' list of ports and ranges: 80,8000:8100.
func ports(list string) ([]PortRange, error) {
	if list == "" {
		return nil, nil
	}
	var out []PortRange
	for item := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(item, ":")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
		b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
		if errA != nil || errB != nil || a > b {
			return nil, status.Errorf(codes.InvalidArgument, "read ports %q: want ports and ranges, for example 80,8000:8100", list)
		}
		out = append(out, PortRange{uint16(a), uint16(b)})
	}
	return out, nil
}
