// Package sandbox is a container's side of the embedded cluster: what a container process is told when it starts, and how it
// reaches its pod's network.
//
// A container is an ordinary process. Its network is the pod's TCP/IP stack, which lives in the node process; the two speak
// over one unix socket of type SOCK_SEQPACKET that the container inherits as file descriptor FD. The container asks (Request),
// the node answers (Reply), and whatever was opened arrives as file descriptors beside the answer:
//
//   - a TCP connection is two pipes, one to read and one to write, in this order; the node splices the other ends to the pod's
//     stack. (A socket pair would do with one descriptor, but wakes the writer whenever the reader has read.) A connection that
//     goes on for a while asks for a way past the node: the pipe that its peer's process reads, under a Lease;
//   - a TCP listener is one end of a SOCK_SEQPACKET pair on which every accepted connection arrives as a Reply with its
//     descriptors; closing the descriptor closes the listener;
//   - a UDP socket is one end of a SOCK_SEQPACKET pair; each message is one datagram behind a FrameHeader.
//
// So everything that a process opened dies with it, whatever way it ends. The package does not import the node's side
// (orchestrator/cluster/embedded/network).
package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// FD is the file descriptor on which a container process inherits its sandbox socket.
const FD = 3

// Container describes one container process; the container runtime writes it as JSON and passes its path with --container.
type Container struct {
	// Program is the name of the image's program (program.Image.Name).
	Program string `json:"program"`
	// Variant is the build variant: the image's tag.
	Variant string `json:"variant"`
	// Args is the complete argument vector: entrypoint or command, then arguments.
	Args []string `json:"args"`
	// Env is the container's whole environment.
	Env map[string]string `json:"env,omitempty"`
	// Cwd is the working directory, a container path. Empty means "/".
	Cwd string `json:"cwd,omitempty"`
	// Root is the host directory that holds the container's root file system.
	Root string `json:"root"`
	// ReadOnlyRoot refuses writes to the root file system; the mounts have their own say.
	ReadOnlyRoot bool `json:"readOnlyRoot,omitempty"`
	// User is who the processes are.
	User User `json:"user"`
	// Mounts lie over Root, later ones over earlier ones.
	Mounts []Mount `json:"mounts,omitempty"`
	// Hostname is what the container calls itself.
	Hostname string `json:"hostname"`
	// ResolvConf is the host path of the container's resolv.conf. It is read again for every look-up.
	ResolvConf string `json:"resolvConf"`
	// Conditions is the host path of what the node makes the container live with (OpenConditions). Empty means nothing
	// unusual.
	Conditions string `json:"conditions,omitempty"`
}

// Mount is a host directory or file that appears at a container path.
type Mount struct {
	ContainerPath string `json:"containerPath"`
	HostPath      string `json:"hostPath"`
	ReadOnly      bool   `json:"readOnly,omitempty"`
	// Memory is set for a tmpfs: what it holds is memory of the node.
	Memory bool `json:"memory,omitempty"`
	// Within is the host directory that HostPath lies below and that no symbolic link leads out of, whatever others make
	// of the directories in between. Empty means that HostPath is nobody else's to change.
	Within string `json:"within,omitempty"`
	// Account is the host path of the account of the volume that holds HostPath (OpenAccount). Empty means no limit.
	Account string `json:"account,omitempty"`
}

// LoadContainer reads the container description at path.
func LoadContainer(path string) (*Container, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read container description: %w", err)
	}
	c := &Container{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("decode container description %s: %w", path, err)
	}
	return c, nil
}

// Op is what a Request asks for.
type Op string

// The operations of the protocol.
const (
	// OpDial opens a connection to Address: Network is "tcp" or "udp".
	OpDial Op = "dial"
	// OpListen opens a TCP listener at Address.
	OpListen Op = "listen"
	// OpPacket opens a UDP socket bound to Address.
	OpPacket Op = "packet"
	// OpCancel gives up the request whose ID is Conn. It has no answer of its own: the request is answered with ECANCELED.
	OpCancel Op = "cancel"
	// OpClose closes the listener or UDP socket Conn at once; its address is free when the answer arrives.
	OpClose Op = "close"
	// OpPast asks for a way past the node for what the container writes to the connection Conn, after it has written Sent bytes to the
	// node's pipe. The answer has two descriptors: the pipe that the peer reads, and the Lease to write there. An errno means not now.
	OpPast Op = "past"
	// OpStatus asks why the connection Conn ended: Errno is 0 after an orderly end, ECONNRESET and so on otherwise.
	OpStatus Op = "status"
)

// Request is one message from the container to the node. Messages are JSON, one per packet of the socket.
type Request struct {
	ID      uint64         `json:"id"`
	Op      Op             `json:"op"`
	Network string         `json:"network,omitempty"`
	Address netip.AddrPort `json:"address,omitzero"`
	Conn    uint64         `json:"conn,omitempty"`
	Sent    uint64         `json:"sent,omitempty"`
}

// Reply is one message from the node to the container; it answers the Request of the same ID. On a listener's own socket
// it announces one accepted connection and ID is 0; on the sandbox's socket ID 0 says that the connection Conn's lease has been revoked.
type Reply struct {
	ID     uint64         `json:"id"`
	Errno  syscall.Errno  `json:"errno,omitempty"`
	Conn   uint64         `json:"conn,omitempty"`
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
}

// MaxMessage bounds the size of a Request or a Reply in bytes.
const MaxMessage = 1024

// FrameHeader is the number of bytes before each datagram on a UDP socket: the peer's IPv4 address (4), its port (2,
// big endian) and, towards the container, an errno (2, big endian) when the message reports an error instead of data.
const FrameHeader = 8

// MaxDatagram is the largest datagram in bytes.
const MaxDatagram = 65507

// PutFrame writes a datagram's header into b, which must hold FrameHeader bytes.
func PutFrame(b []byte, peer netip.AddrPort, errno syscall.Errno) {
	a := peer.Addr().Unmap()
	if a.Is4() {
		v := a.As4()
		copy(b, v[:])
	} else {
		clear(b[:4])
	}
	binary.BigEndian.PutUint16(b[4:], peer.Port())
	binary.BigEndian.PutUint16(b[6:], uint16(errno))
}

// ParseFrame reads a datagram's header; ok is false when b is too short.
func ParseFrame(b []byte) (peer netip.AddrPort, errno syscall.Errno, payload []byte, ok bool) {
	if len(b) < FrameHeader {
		return netip.AddrPort{}, 0, nil, false
	}
	addr := netip.AddrFrom4([4]byte(b[:4]))
	peer = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[4:]))
	return peer, syscall.Errno(binary.BigEndian.Uint16(b[6:])), b[FrameHeader:], true
}

// Pair makes a sandbox socket: the node keeps the first end (for network.Pod.Serve) and gives the second to the container
// process as file descriptor FD. The caller closes its copy of the second after it has started the process.
func Pair() (*net.UnixConn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make sandbox socket pair: %w", err)
	}
	node := os.NewFile(uintptr(fds[0]), "sandbox")
	defer node.Close()
	child := os.NewFile(uintptr(fds[1]), "sandbox")
	conn, err := net.FileConn(node)
	if err != nil {
		child.Close()
		return nil, nil, fmt.Errorf("wrap sandbox socket: %w", err)
	}
	return conn.(*net.UnixConn), child, nil
}
