package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The types of IP sets that Chaos Mesh's daemon makes with ipset(8).
const (
	HashNet     = "hash:net"
	HashNetPort = "hash:net,port"
	ListSet     = "list:set"
)

// IPSet is a named set of addresses, as ipset(8) makes it.
type IPSet struct {
	Name string
	// Type is HashNet, HashNetPort or ListSet.
	Type string
	// Nets are the members of a HashNet.
	Nets []netip.Prefix
	// NetPorts are the members of a HashNetPort.
	NetPorts []NetPort
	// Sets are the names of the members of a ListSet.
	Sets []string
}

// NetPort is a network and a TCP port.
type NetPort struct {
	Net  netip.Prefix
	Port uint16
}

// Direction is the side of eth0 that a chain looks at.
type Direction int

// The chains' directions. INPUT chains match the source address, OUTPUT chains the destination.
const (
	Input Direction = iota
	Output
)

// Match selects packets by protocol, as iptables does.
type Match struct {
	// Protocol is tcp, udp, icmp, or "" for all.
	Protocol string
	// SourcePorts and DestinationPorts are empty for all; they need a Protocol.
	SourcePorts, DestinationPorts []PortRange
	// Flags is --tcp-flags; zero means any.
	Flags TCPFlags
}

// PortRange is an inclusive range of ports.
type PortRange struct{ First, Last uint16 }

// TCPFlags matches a TCP packet whose flags, of those in Mask, are exactly Set.
type TCPFlags struct{ Mask, Set uint8 }

// Chain is an iptables chain of one kind of rule: the packets that match one of its sets, or all packets when it names none, go to Target.
type Chain struct {
	Name      string
	Direction Direction
	// IPSets are the names of sets, one of which must hold the packet's peer.
	IPSets []string
	// Target is DROP or ACCEPT.
	Target string
	Match
}

// ParsePorts reads "80", "80,443" or "8000:8100" as iptables does.
func ParsePorts(text string) ([]PortRange, error) {
	var out []PortRange
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, ranged := strings.Cut(part, ":")
		a, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("parse port %q: %w", part, err)
		}
		b := a
		if ranged {
			if b, err = strconv.ParseUint(last, 10, 16); err != nil || b < a {
				return nil, fmt.Errorf("parse port range %q: want first:last", part)
			}
		}
		out = append(out, PortRange{uint16(a), uint16(b)})
	}
	return out, nil
}

// ParseTCPFlags reads iptables' --tcp-flags, for example "SYN,ACK SYN,ACK".
func ParseTCPFlags(text string) (TCPFlags, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return TCPFlags{}, nil
	}
	if len(words) != 2 {
		return TCPFlags{}, fmt.Errorf("parse TCP flags %q: want MASK SET", text)
	}
	var bits [2]uint8
	for i, w := range words {
		for name := range strings.SplitSeq(w, ",") {
			bit, ok := map[string]uint8{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}[name]
			if !ok {
				return TCPFlags{}, fmt.Errorf("parse TCP flags %q: unknown flag %q", text, name)
			}
			bits[i] |= bit
		}
	}
	return TCPFlags{bits[0], bits[1]}, nil
}

func (m *Match) check() error {
	switch m.Protocol {
	case "", "tcp", "udp", "icmp":
	default:
		return fmt.Errorf("unknown protocol %q", m.Protocol)
	}
	if m.Protocol != "tcp" && m.Protocol != "udp" && len(m.SourcePorts)+len(m.DestinationPorts) > 0 {
		return fmt.Errorf("ports need protocol tcp or udp")
	}
	if m.Protocol != "tcp" && m.Flags != (TCPFlags{}) {
		return fmt.Errorf("TCP flags need protocol tcp")
	}
	return nil
}

func (m *Match) matches(f *flow) bool {
	switch m.Protocol {
	case "tcp":
		if f.proto != uint8(header.TCPProtocolNumber) {
			return false
		}
	case "udp":
		if f.proto != uint8(header.UDPProtocolNumber) {
			return false
		}
	case "icmp":
		if f.proto != uint8(header.ICMPv4ProtocolNumber) {
			return false
		}
	}
	return inRanges(m.SourcePorts, f.srcPort) && inRanges(m.DestinationPorts, f.dstPort) && f.flags&m.Flags.Mask == m.Flags.Set
}

func inRanges(list []PortRange, port uint16) bool {
	if len(list) == 0 {
		return true
	}
	for _, r := range list {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

// ipset is a compiled IPSet.
type ipset struct {
	nets    []netTable
	members []*ipset
}

// netTable holds the networks of one prefix length, and for each the ports that count (nil means all).
type netTable struct {
	mask uint32
	nets map[uint32]map[uint16]bool
}

func (s *ipset) add(p netip.Prefix, port uint16, ported bool) {
	mask := uint32(0xffffffff) << (32 - p.Bits())
	if p.Bits() == 0 {
		mask = 0
	}
	addr := p.Masked().Addr().As4()
	key := binary.BigEndian.Uint32(addr[:])
	for i := range s.nets {
		if s.nets[i].mask == mask {
			s.nets[i].add(key, port, ported)
			return
		}
	}
	t := netTable{mask: mask, nets: map[uint32]map[uint16]bool{}}
	t.add(key, port, ported)
	s.nets = append(s.nets, t)
}

func (t *netTable) add(key uint32, port uint16, ported bool) {
	if !ported {
		t.nets[key] = nil
		return
	}
	if t.nets[key] == nil {
		t.nets[key] = map[uint16]bool{}
	}
	t.nets[key][port] = true
}

// holds says whether the set has the address, and for a set with ports the TCP destination port too.
func (s *ipset) holds(addr [4]byte, f *flow) bool {
	a := binary.BigEndian.Uint32(addr[:])
	for i := range s.nets {
		ports, ok := s.nets[i].nets[a&s.nets[i].mask]
		if ok && (ports == nil || f.proto == uint8(header.TCPProtocolNumber) && ports[f.dstPort]) {
			return true
		}
	}
	for _, m := range s.members {
		if m.holds(addr, f) {
			return true
		}
	}
	return false
}

// compileSets compiles all sets; a list may name sets in any order.
func compileSets(sets map[string]IPSet) (map[string]*ipset, error) {
	out := make(map[string]*ipset, len(sets))
	for name, s := range sets {
		c := &ipset{}
		for _, p := range s.Nets {
			if !p.Addr().Is4() {
				return nil, fmt.Errorf("add %s to IP set %s: not IPv4", p, name)
			}
			c.add(p, 0, false)
		}
		for _, p := range s.NetPorts {
			if !p.Net.Addr().Is4() {
				return nil, fmt.Errorf("add %s to IP set %s: not IPv4", p.Net, name)
			}
			c.add(p.Net, p.Port, true)
		}
		out[name] = c
	}
	for name, s := range sets {
		for _, member := range s.Sets {
			m, ok := out[member]
			if !ok || sets[member].Type == ListSet {
				return nil, fmt.Errorf("add %s to IP set %s: set to be added does not exist", member, name)
			}
			out[name].members = append(out[name].members, m)
		}
	}
	return out, nil
}

// rule is a compiled chain.
type rule struct {
	sets []*ipset // empty means any packet.
	Match
	drop bool
}

func (r *rule) matches(peer [4]byte, f *flow) bool {
	if !r.Match.matches(f) {
		return false
	}
	if len(r.sets) == 0 {
		return true
	}
	for _, s := range r.sets {
		if s.holds(peer, f) {
			return true
		}
	}
	return false
}
