package shell

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// dnsTimeout is how long one DNS question may take.
const dnsTimeout = 5 * time.Second

// exchange asks one server one question over the container's network.
func (c *command) exchange(server, name string, kind uint16) (*dns.Msg, time.Duration, error) {
	if server == "" {
		return nil, 0, fmt.Errorf("no nameserver in /etc/resolv.conf")
	}
	ctx, cancel := context.WithTimeout(c.ctx, dnsTimeout)
	defer cancel()
	if net.ParseIP(server) == nil {
		addrs, err := c.sys.Net.LookupHost(ctx, server)
		if err != nil {
			return nil, 0, err
		}
		server = addrs[0]
	}
	conn, err := c.sys.Net.DialContext(ctx, "udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.RecursionDesired = true
	client := &dns.Client{Net: "udp", Timeout: dnsTimeout, UDPSize: 4096}
	return client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn, UDPSize: 4096})
}

// nslookup is nslookup [-type=T] NAME [SERVER].
func nslookup(c *command) int {
	kind := dns.TypeA
	var rest []string
	for _, arg := range c.args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case strings.HasPrefix(arg, "-") && ok && (name == "type" || name == "query" || name == "q"):
			k, known := dns.StringToType[strings.ToUpper(value)]
			if !known {
				return c.fail(1, "unknown query type: %s", value)
			}
			kind = k
		case strings.HasPrefix(arg, "-"):
		default:
			rest = append(rest, arg)
		}
	}
	if len(rest) == 0 || len(rest) > 2 {
		return c.fail(1, "want [-type=TYPE] NAME [SERVER]")
	}
	conf := c.resolvConf()
	server := ""
	if len(conf.servers) > 0 {
		server = conf.servers[0]
	}
	if len(rest) == 2 {
		server = rest[1]
	}
	names := conf.candidates(rest[0])
	if net.ParseIP(rest[0]) != nil {
		kind = dns.TypePTR
		reverse, err := dns.ReverseAddr(rest[0])
		if err != nil {
			return c.fail(1, "%v", err)
		}
		names = []string{reverse}
	}
	c.printf("Server:\t\t%s\nAddress:\t%s\n\n", server, net.JoinHostPort(server, "53"))
	last := "NXDOMAIN"
	for _, name := range names {
		answer, _, err := c.exchange(server, name, kind)
		if err != nil {
			c.printf(";; connection timed out; no servers could be reached\n")
			return 1
		}
		last = dns.RcodeToString[answer.Rcode]
		if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
			if answer.Rcode == dns.RcodeSuccess {
				last = "No answer"
			}
			continue
		}
		for _, rr := range answer.Answer {
			c.printAnswer(rr)
		}
		return 0
	}
	c.printf("** server can't find %s: %s\n", rest[0], last)
	return 1
}

func (c *command) printAnswer(rr dns.RR) {
	name := strings.TrimSuffix(rr.Header().Name, ".")
	switch rr := rr.(type) {
	case *dns.A:
		c.printf("Name:\t%s\nAddress: %s\n", name, rr.A)
	case *dns.AAAA:
		c.printf("Name:\t%s\nAddress: %s\n", name, rr.AAAA)
	case *dns.CNAME:
		c.printf("%s\tcanonical name = %s\n", name, rr.Target)
	case *dns.PTR:
		c.printf("%s\tname = %s\n", name, rr.Ptr)
	default:
		c.printf("%s\n", rr.String())
	}
}

// dig is dig [@SERVER] NAME [TYPE] [+short] [+search].
func dig(c *command) int {
	kind, name, server := dns.TypeA, "", ""
	short, search := false, false
	for _, arg := range c.args {
		k, isType := dns.StringToType[strings.ToUpper(arg)]
		switch {
		case strings.HasPrefix(arg, "@"):
			server = arg[1:]
		case arg == "+short":
			short = true
		case arg == "+search":
			search = true
		case strings.HasPrefix(arg, "+"), strings.HasPrefix(arg, "-"):
		case name != "" && isType:
			kind = k
		case isType && len(c.args) > 1 && !strings.Contains(arg, "."):
			kind = k
		default:
			name = arg
		}
	}
	conf := c.resolvConf()
	if server == "" && len(conf.servers) > 0 {
		server = conf.servers[0]
	}
	names := []string{dns.Fqdn(name)}
	if search {
		names = conf.candidates(name)
	}
	var answer *dns.Msg
	var took time.Duration
	for _, candidate := range names {
		var err error
		if answer, took, err = c.exchange(server, candidate, kind); err != nil {
			c.printf(";; communications error to %s#53: %s\n;; no servers could be reached\n", server, netReason(err))
			return 9
		}
		if len(answer.Answer) > 0 {
			break
		}
	}
	if short {
		for _, rr := range answer.Answer {
			c.printf("%s\n", strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		return 0
	}
	c.printf("; <<>> dig <<>> %s\n%s\n;; Query time: %d msec\n;; SERVER: %s#53\n", strings.Join(c.args, " "), answer.String(), took.Milliseconds(), server)
	return 0
}
