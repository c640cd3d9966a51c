package sandbox

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The C library's limits on what resolv.conf may ask for.
const (
	maxNameServers = 3
	maxNdots       = 15
	maxTimeout     = 30
	maxAttempts    = 5
)

// ResolvConf is what a resolv.conf says, with the C library's defaults and limits.
type ResolvConf struct {
	// Servers are the name servers in order.
	Servers []netip.AddrPort
	// Search are the domains to complete names with.
	Search []string
	// Ndots is how many dots a name needs to be tried as it is first.
	Ndots int
	// Timeout is what the first server gets, and Attempts how often all are asked.
	Timeout  time.Duration
	Attempts int
	// Rotate spreads questions over the servers.
	Rotate bool
	// Single is single-request or single-request-reopen: A and AAAA are asked one after the other.
	Single bool
	// TCP is use-vc, EDNS edns0, NoAAAA no-aaaa and NoTLD no-tld-query.
	TCP, EDNS, NoAAAA, NoTLD bool
}

// ParseResolvConf reads resolv.conf. What cannot be read is passed over, as the C library does. env are the variables
// LOCALDOMAIN, which replaces the search list, and RES_OPTIONS, which adds options.
func ParseResolvConf(r io.Reader, env map[string]string) ResolvConf {
	c := ResolvConf{Ndots: 1, Timeout: 5 * time.Second, Attempts: 2}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// A keyword starts its line.
		keyword, rest, found := cutSpace(lines.Text())
		words := strings.Fields(rest)
		if !found || len(words) == 0 {
			continue
		}
		switch keyword {
		case "nameserver":
			if a, err := netip.ParseAddr(words[0]); err == nil && len(c.Servers) < maxNameServers {
				c.Servers = append(c.Servers, netip.AddrPortFrom(a, 53))
			}
		case "domain":
			c.Search = words[:1]
		case "search":
			c.Search = words
		case "options":
			c.options(words)
		}
	}
	if domains := strings.Fields(env["LOCALDOMAIN"]); len(domains) > 0 {
		c.Search = domains
	}
	c.options(strings.Fields(env["RES_OPTIONS"]))
	if len(c.Servers) == 0 {
		c.Servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
	}
	return c
}

func cutSpace(line string) (before, after string, found bool) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i:], true
}

func (c *ResolvConf) options(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, ":")
		switch name {
		case "ndots":
			c.Ndots = min(leadingNumber(value), maxNdots)
		case "timeout":
			c.Timeout = time.Duration(min(leadingNumber(value), maxTimeout)) * time.Second
		case "attempts":
			c.Attempts = min(leadingNumber(value), maxAttempts)
		case "rotate":
			c.Rotate = true
		case "single-request", "single-request-reopen":
			c.Single = true
		case "use-vc":
			c.TCP = true
		case "edns0":
			c.EDNS = true
		case "no-aaaa":
			c.NoAAAA = true
		case "no-tld-query":
			c.NoTLD = true
		}
	}
}

// leadingNumber is the C library's atoi: what is no number is 0.
func leadingNumber(s string) int {
	n := 0
	for _, d := range s {
		if d < '0' || d > '9' || n > 1<<20 {
			break
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// patience is how long the server at index i may take: the later ones of several share what the earlier ones got.
func (c *ResolvConf) patience(i int) time.Duration {
	d := c.Timeout << i
	if i > 0 {
		d = (d / time.Duration(len(c.Servers))).Truncate(time.Second)
	}
	return max(d, time.Second)
}

// Candidates are the names that host may stand for, in the order in which they are tried.
func (c *ResolvConf) Candidates(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	asIs, dots := dns.Fqdn(host), strings.Count(host, ".")
	var out []string
	if dots >= c.Ndots {
		out = append(out, asIs)
	}
	root := false
	for _, domain := range c.Search {
		domain = strings.TrimPrefix(domain, ".")
		root = root || domain == ""
		out = append(out, dns.Fqdn(strings.TrimSuffix(host+"."+domain, ".")))
	}
	if dots < c.Ndots && !root && (dots > 0 || len(c.Search) == 0 || !c.NoTLD) {
		out = append(out, asIs)
	}
	return out
}
