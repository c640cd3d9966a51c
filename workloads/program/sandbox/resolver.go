package sandbox

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolver looks names up as the C library does for "hosts: files dns": the hosts file first, then the name servers of resolv.conf with
// its search list and ndots, timeout, attempts and rotate options. Both files are read again for every look-up.
// The fields are set before the first use; it is then safe for concurrent use.
type Resolver struct {
	// ResolvConf is the host path of resolv.conf. A file that is missing means a name server at 127.0.0.1.
	ResolvConf string
	// Hosts opens the container's hosts file; nil or an error means that there is none.
	Hosts func() (io.ReadCloser, error)
	// Dial opens the connections to name servers.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// config is what resolv.conf says.
type config struct {
	servers  []string
	search   []string
	ndots    int
	timeout  time.Duration
	attempts int
	rotate   bool
}

// parseResolvConf reads resolv.conf with the C library's defaults and limits.
func parseResolvConf(r io.Reader) config {
	c := config{ndots: 1, timeout: 5 * time.Second, attempts: 2}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0][0] == '#' || f[0][0] == ';' {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && len(c.servers) < 3 {
				c.servers = append(c.servers, netip.AddrPortFrom(a, 53).String())
			}
		case "domain":
			c.search = f[1:2]
		case "search":
			c.search = f[1:]
		case "options":
			c.options(f[1:])
		}
	}
	if len(c.servers) == 0 {
		c.servers = []string{"127.0.0.1:53"}
	}
	return c
}

func (c *config) options(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, ":")
		n, err := strconv.Atoi(value)
		switch {
		case name == "rotate":
			c.rotate = true
		case err != nil || n < 0:
		case name == "ndots":
			c.ndots = min(n, 15)
		case name == "timeout" && n > 0:
			c.timeout = time.Duration(min(n, 30)) * time.Second
		case name == "attempts" && n > 0:
			c.attempts = min(n, 5)
		}
	}
}

// names is the list of names to ask for, in order.
func (c *config) names(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	var out []string
	for _, s := range c.search {
		out = append(out, dns.Fqdn(host+"."+s))
	}
	if asIs := dns.Fqdn(host); strings.Count(host, ".") >= c.ndots {
		return append([]string{asIs}, out...)
	}
	return append(out, dns.Fqdn(host))
}

// LookupHost returns the IPv4 addresses of host. Errors are *net.DNSError.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	if host == "" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []string{a.String()}, nil
	}
	if out := r.hosts(host); len(out) > 0 {
		return out, nil
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []string{"127.0.0.1"}, nil
	}
	if _, ok := dns.IsDomainName(host); !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var failure *net.DNSError
	c := r.config()
	for _, fqdn := range c.names(host) {
		out, err := r.query(ctx, &c, fqdn)
		if err == nil {
			return out, nil
		}
		err.Name = host
		if failure == nil || failure.IsNotFound || !err.IsNotFound {
			failure = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failure
}

func (r *Resolver) config() config {
	f, err := os.Open(r.ResolvConf)
	if err != nil {
		return parseResolvConf(strings.NewReader(""))
	}
	defer f.Close()
	return parseResolvConf(f)
}

// hosts looks host up in the hosts file.
func (r *Resolver) hosts(host string) []string {
	if r.Hosts == nil {
		return nil
	}
	f, err := r.Hosts()
	if err != nil {
		return nil
	}
	defer f.Close()
	host = strings.TrimSuffix(host, ".")
	var out []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		w := strings.Fields(line)
		if len(w) < 2 || !slices.ContainsFunc(w[1:], func(n string) bool { return strings.EqualFold(n, host) }) {
			continue
		}
		if a, err := netip.ParseAddr(w[0]); err == nil && a.Unmap().Is4() {
			out = append(out, a.Unmap().String())
		}
	}
	return out
}

// query asks the name servers for one name, each in turn, attempts times.
func (r *Resolver) query(ctx context.Context, c *config, fqdn string) ([]string, *net.DNSError) {
	failure := &net.DNSError{Err: "no such host", IsNotFound: true}
	first := 0
	if c.rotate {
		first = int(dns.Id()) % len(c.servers)
	}
	for range c.attempts {
		for i := range c.servers {
			server := c.servers[(first+i)%len(c.servers)]
			in, err := r.exchange(ctx, c, server, fqdn)
			if err != nil {
				failure = &net.DNSError{Err: err.Error(), Server: server, IsTimeout: isTimeout(err), IsTemporary: true}
				if ctx.Err() != nil {
					return nil, failure
				}
				continue
			}
			switch in.Rcode {
			case dns.RcodeNameError:
				return nil, &net.DNSError{Err: "no such host", Server: server, IsNotFound: true}
			case dns.RcodeSuccess:
				if out := addresses(in); len(out) > 0 {
					return out, nil
				}
				return nil, &net.DNSError{Err: "no such host", Server: server, IsNotFound: true}
			}
			failure = &net.DNSError{Err: "server misbehaving", Server: server, IsTemporary: true}
		}
	}
	return nil, failure
}

func addresses(in *dns.Msg) []string {
	var out []string
	for _, rr := range in.Answer {
		if a, ok := rr.(*dns.A); ok {
			out = append(out, a.A.String())
		}
	}
	return out
}

// exchange sends one question over UDP, and over TCP when the answer was cut.
func (r *Resolver) exchange(ctx context.Context, c *config, server, fqdn string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(fqdn, dns.TypeA)
	q.SetEdns0(dns.DefaultMsgSize, false)
	for _, network := range []string{"udp", "tcp"} {
		in, err := r.ask(ctx, c, network, server, q)
		if err != nil || !in.Truncated {
			return in, err
		}
	}
	return nil, errors.New("answer is truncated")
}

func (r *Resolver) ask(ctx context.Context, c *config, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := r.Dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	d := &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}
	if err := d.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		in, err := d.ReadMsg()
		if err != nil {
			return nil, err
		}
		if in.Id == q.Id && len(in.Question) == 1 && strings.EqualFold(in.Question[0].Name, q.Question[0].Name) {
			return in, nil
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
