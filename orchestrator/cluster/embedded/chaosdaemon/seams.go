package chaosdaemon

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Network is what the daemon needs of its node's userspace network. It is safe for concurrent use.
type Network interface {
	// Pod returns the network of one sandbox; false where there is none.
	Pod(sandboxID string) (Pod, bool)
	// SandboxAt returns the sandbox that has an address of the pod range.
	SandboxAt(addr netip.Addr) (string, bool)
	// ListenPacket listens on a UDP port of the node's own address.
	ListenPacket(port uint16) (net.PacketConn, error)
	// Dial connects from the node's own address.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Pod is the network of one sandbox: what tc, iptables and ipset would act on in its network namespace. Every Set
// replaces what was set before, for packets that are sent after it returns; nil removes everything.
type Pod interface {
	// SetIPSets sets the named address sets. A list:set holds the names of others.
	SetIPSets(sets []IPSet) error
	// SetChains sets the packet filters. They are tried in order; a packet that no chain matches passes.
	SetChains(chains []Chain) error
	// SetQdiscs sets the queueing disciplines of packets that leave, per device.
	SetQdiscs(devices []Device) error
	// SetProxy hands each new TCP connection that arrives from outside for one of ports to handle, in place of the pod's
	// own listener, and resets the established ones. handle owns the connection and returns when it is closed. No ports ends
	// it.
	SetProxy(ports []uint16, handle func(conn net.Conn, port uint16)) error
	// DialLocal connects to a listener of the pod itself, past the proxy.
	DialLocal(ctx context.Context, port uint16) (net.Conn, error)
}

// Runtime is what the daemon needs of its node's container runtime. It is safe for concurrent use.
type Runtime interface {
	// Container returns a running container by its bare id; the error says that it is unknown or not running.
	Container(ctx context.Context, id string) (Container, error)
	// Sandbox returns the id of the ready sandbox of a pod.
	Sandbox(ctx context.Context, pod PodRef) (string, error)
	// Kill ends a container at once, as SIGKILL from outside does.
	Kill(ctx context.Context, id string) error
	// Attach makes process pid, a child of this process, part of a running container: its CPU time and memory count against
	// the container's limits and show in its statistics, and its process group is killed when the container ends. The
	// caller reaps it and then calls detach.
	Attach(ctx context.Context, id string, pid int) (detach func(), err error)
}

// PodRef names a pod: by its UID or by its name.
type PodRef struct{ UID, Namespace, Name string }

// Container is a running container.
type Container struct {
	ID        string
	SandboxID string
	// PID is the container's first process on the host.
	PID int
	// ResolvConf is the host path of the file that the container sees as /etc/resolv.conf.
	ResolvConf string
}

// The types of an IPSet, as ipset(8) names them.
const (
	HashNet     = "hash:net"
	HashNetPort = "hash:net,port"
	ListSet     = "list:set"
)

// IPSet is one named set of addresses.
type IPSet struct {
	Name string
	Type string
	// Nets are the members of a hash:net.
	Nets []netip.Prefix
	// NetPorts are the members of a hash:net,port. They match TCP, as ipset(8) does where no protocol is given.
	NetPorts []NetPort
	// Sets are the members of a list:set.
	Sets []string
}

// NetPort is a network and a port in it.
type NetPort struct {
	Net  netip.Prefix
	Port uint16
}

// Match says which packets are meant. The zero Match matches every packet.
type Match struct {
	// IPSet is the name of a set, looked up by the packet's remote address: its destination where it leaves, its source
	// where it arrives. The port that is looked up is the packet's destination port either way. Empty matches any.
	IPSet string
	// Protocol is tcp, udp or icmp; empty matches any.
	Protocol string
	// SourcePorts and DestinationPorts match a packet with any of them; none matches any. They need a Protocol.
	SourcePorts, DestinationPorts []PortRange
}

// PortRange holds ports, both ends included.
type PortRange struct{ First, Last uint16 }

// Chain drops packets.
type Chain struct {
	Name string
	// Input is true for packets that arrive, false for packets that leave.
	Input bool
	// Device is eth0 or lo.
	Device string
	// Matches are alternatives: a packet that matches any is dropped.
	Matches []Match
}

// Device holds the queueing of packets that leave by one device.
type Device struct {
	// Name is eth0 or lo.
	Name string
	// All is what every packet passes, in order.
	All []Qdisc
	// Classes come after All: a packet goes through the last of those that match it, or through none.
	Classes []Class
}

// Class is what matching packets pass, in order.
type Class struct {
	Match  Match
	Qdiscs []Qdisc
}

// Qdisc is one queueing discipline: exactly one field is set.
type Qdisc struct {
	Netem *Netem
	TBF   *TBF
}

// Netem is tc-netem(8). Probabilities and correlations are in percent.
type Netem struct {
	Delay, Jitter            time.Duration
	DelayCorrelation         float64
	Limit                    int // packets; never 0
	Loss, LossCorrelation    float64
	Gap                      int
	Duplicate, DuplicateCorr float64
	Reorder, ReorderCorr     float64
	Corrupt, CorruptCorr     float64
	RateBitsPerSecond        uint64 // 0: no limit
}

// TBF is tc-tbf(8).
type TBF struct {
	RateBitsPerSecond     uint64
	BurstBytes            uint64
	LimitBytes            uint64
	PeakRateBitsPerSecond uint64 // 0: none
	MTUBytes              uint64
}
