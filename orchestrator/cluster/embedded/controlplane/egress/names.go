package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

const (
	dnsPort = 53
	// ndots is how many dots make the resolver try a name as it stands before it tries the search domains, as in pods.
	ndots = 5
)

// NamedDialer is a Dialer for those who would be pods of some namespace on a real cluster: it takes names too, and looks them up in the
// cluster's DNS as such a pod would. Loopback, which would be the pod's own, is nobody's. It is safe for concurrent use.
type NamedDialer struct {
	dialer   *Dialer
	resolver *net.Resolver
	search   []string
}

// NewNamedDialer returns a dialer that dials through d, for a pod of namespace.
func NewNamedDialer(d *Dialer, namespace string) *NamedDialer {
	server := netip.AddrPortFrom(d.cluster.Network.DNS, dnsPort).String()
	domain := d.cluster.Network.Domain
	return &NamedDialer{
		dialer: d,
		resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", server)
			if err != nil {
				return nil, err
			}
			// A unix socket could send packets, and the resolver would. This is a TCP connection.
			return stream{conn}, nil
		}},
		search: []string{namespace + ".svc." + domain + ".", "svc." + domain + ".", domain + "."},
	}
}

// stream hides what a connection can do besides.
type stream struct{ net.Conn }

// DialContext connects to address, a name or an IP, and a port. Its errors are those of a TCP dial from inside the cluster.
func (n *NamedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	addrs, err := n.lookup(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var last error
	for _, addr := range addrs {
		var conn net.Conn
		if conn, last = n.dial(ctx, network, net.JoinHostPort(addr, port)); last == nil {
			return conn, nil
		}
	}
	return nil, last
}

func (n *NamedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err == nil && ap.Addr().Unmap().IsLoopback() {
		refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(ap), Err: refused}
	}
	return n.dialer.DialContext(ctx, network, address)
}

// lookup finds the addresses of host. Its errors are *net.DNSError.
func (n *NamedDialer) lookup(ctx context.Context, host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	for _, name := range n.candidates(host) {
		addrs, err := n.resolver.LookupHost(ctx, name)
		if err == nil {
			return addrs, nil
		}
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			return nil, err
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// candidates are the absolute names that host may mean, in the order in which they are tried.
func (n *NamedDialer) candidates(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	var names []string
	for _, domain := range n.search {
		names = append(names, host+"."+domain)
	}
	if strings.Count(host, ".") >= ndots {
		return append([]string{host + "."}, names...)
	}
	return append(names, host+".")
}
