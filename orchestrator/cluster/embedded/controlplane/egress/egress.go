// Package egress is the control plane's way into the userspace network.
//
// No address of the userspace network exists on the host, so the API server cannot dial a kubelet, a pod or a Service.
// Its egress selector hands those dials to a Dialer, which knows which node owns an address and dials through that
// node: over the unix socket on which every node answers HTTP CONNECT.
package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

const (
	// kubeletPort is the port that every kubelet has on the userspace network.
	kubeletPort = 10250
	// apiServerPort is the API server's port on the userspace network.
	apiServerPort = 6443
	// dialTimeout is how long one dial may take: what Go's default transport allows.
	dialTimeout = 30 * time.Second
	// turnTimeout is how long one node may take to answer for a Service address before the next node is asked.
	turnTimeout = 3 * time.Second
	// maxAnswer bounds the head and the body of a node's answer, in bytes.
	maxAnswer = 8 << 10
)

// Dialer connects to addresses of the userspace network and of loopback. It is safe for concurrent use.
type Dialer struct {
	cluster *spec.Cluster
	turn    atomic.Uint32
}

// NewDialer returns a dialer for the addresses of cluster.
func NewDialer(cluster *spec.Cluster) *Dialer { return &Dialer{cluster: cluster} }

// DialContext connects to address, an IP and port. Its errors are those of a TCP dial from inside the cluster: nothing in
// them tells that the network is not the kernel's.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		host, _, _ := net.SplitHostPort(address)
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{
			Err: "no such host", Name: host, IsNotFound: true,
		}}
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.dial(ctx, ap)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(ap), Err: reason(ctx, err)}
	}
	return conn, nil
}

// dial finds the way to ap.
func (d *Dialer) dial(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	addr, port := ap.Addr(), ap.Port()
	n := d.cluster.Network
	switch {
	case addr.IsLoopback(): // Chaos Mesh's webhooks, in the control plane's own process.
		return dialHost(ctx, int(port), addr)
	case addr == n.ControlPlane && port == apiServerPort:
		return dialHost(ctx, d.cluster.Ports.APIServer, loopback)
	case n.ServiceCIDR.Contains(addr):
		return d.dialAny(ctx, ap)
	}
	for _, node := range d.cluster.Nodes {
		switch {
		case addr == node.Address && port == kubeletPort:
			return dialHost(ctx, node.KubeletPort, loopback)
		case addr == node.Address, node.PodCIDR.Contains(addr):
			return d.dialNode(ctx, node, ap)
		}
	}
	return nil, errNoRoute
}

// dialAny goes through the first node that is alive: every node's service proxy knows every Service. The nodes take
// turns at being first.
func (d *Dialer) dialAny(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	nodes := d.cluster.Nodes
	if len(nodes) == 0 {
		return nil, errNoRoute
	}
	first := int(d.turn.Add(1)) % len(nodes)
	var last error
	for _, node := range slices.Concat(nodes[first:], nodes[:first]) {
		turn, cancel := context.WithTimeout(ctx, turnTimeout)
		conn, err := d.dialNode(turn, node, ap)
		cancel()
		var refusal refusalError
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
			return conn, err // A node that is alive and says no speaks for all.
		}
		last = err
	}
	return nil, last
}

// errNoRoute is what the kernel says of an address that nobody answers for.
var errNoRoute = os.NewSyscallError("connect", syscall.EHOSTUNREACH)

// refusalError is a live node's answer that the target cannot be reached.
type refusalError string

func (e refusalError) Error() string { return string(e) }

// dialNode connects to ap from node's own network stack.
func (d *Dialer) dialNode(ctx context.Context, node spec.Node, ap netip.AddrPort) (net.Conn, error) {
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, "unix", d.cluster.EgressSocket(node.Name))
	if err != nil {
		return nil, errNoRoute // The node's process is gone.
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	err = handshake(conn, ap)
	if !stop() && err == nil {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// handshake asks the node at the other end of conn for ap.
func handshake(conn net.Conn, ap netip.AddrPort) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", ap, ap); err != nil {
		return fmt.Errorf("ask node: %w", err)
	}
	// Byte by byte, so that nothing of what follows the head is consumed: the target may speak first.
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if len(head) == maxAnswer {
			return errors.New("read node's answer: its head is too long")
		}
		if _, err := io.ReadFull(conn, one); err != nil {
			return fmt.Errorf("read node's answer: %w", err)
		}
		head = append(head, one[0])
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(head))), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("read node's answer: %w", err)
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(conn, min(max(res.ContentLength, 0), maxAnswer)))
	if len(body) == 0 {
		body = []byte(res.Status)
	}
	return refusalError(strings.TrimSpace(string(body)))
}

// reason turns a failed dial's error into the one that the kernel would have given, as callers decide by its type
// whether to try again.
func reason(ctx context.Context, err error) error {
	text := err.Error()
	switch {
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), strings.Contains(text, "timeout"),
		strings.Contains(text, "timed out"):
		return os.ErrDeadlineExceeded
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "refused"):
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case errors.Is(err, syscall.EHOSTUNREACH), strings.Contains(text, "no route"),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ECONNRESET): // The node died in the middle.
		return errNoRoute
	}
	return err
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func dialHost(ctx context.Context, port int, addr netip.Addr) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, uint16(port)).String())
}
