package shell

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// asker asks name servers over the container's network, as nslookup and dig do: without the hosts file.
type asker struct {
	*command
	conf sandbox.ResolvConf
	// server is who is asked; empty means those of resolv.conf, in turn. port is where.
	server, port string
	// patience is how long one server may take; tries is how often all are asked.
	patience time.Duration
	tries    int
	tcp      bool
}

func (c *command) asker() *asker {
	a := &asker{command: c, port: "53", patience: 5 * time.Second, tries: 2}
	file, err := c.sys.Files.Open("/etc/resolv.conf")
	if err != nil {
		a.conf = sandbox.ParseResolvConf(strings.NewReader(""), c.sys.Env)
		return a
	}
	defer file.Close()
	a.conf = sandbox.ParseResolvConf(file, c.sys.Env)
	return a
}

// servers are the addresses that are asked, in order.
func (a *asker) servers() ([]string, error) {
	if a.server == "" {
		var out []string
		for _, s := range a.conf.Servers {
			out = append(out, s.Addr().String())
		}
		return out, nil
	}
	if _, err := netip.ParseAddr(a.server); err == nil {
		return []string{a.server}, nil
	}
	return a.sys.Net.LookupHost(a.ctx, a.server)
}

// ask asks one question. It returns the answer, whose it is, and how long it took; a server that could not answer is
// believed when no other can.
func (a *asker) ask(name string, kind uint16) (in *dns.Msg, server string, took time.Duration, err error) {
	servers, err := a.servers()
	if err != nil {
		return nil, a.server, 0, err
	}
	var failed *dns.Msg
	var failedAt string
	for range a.tries {
		for _, server = range servers {
			if in, took, err = a.exchange(server, name, kind); err != nil {
				continue
			}
			if in.Rcode != dns.RcodeServerFailure {
				return in, server, took, nil
			}
			failed, failedAt = in, server
		}
		if failed != nil {
			return failed, failedAt, took, nil
		}
	}
	return nil, server, took, err
}

// exchange asks one server, over TCP when its answer was cut.
func (a *asker) exchange(server, name string, kind uint16) (*dns.Msg, time.Duration, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	networks := []string{"udp", "tcp"}
	if a.tcp {
		networks = networks[1:]
	}
	var in *dns.Msg
	var took time.Duration
	for _, network := range networks {
		ctx, cancel := context.WithTimeout(a.ctx, a.patience)
		defer cancel()
		conn, err := a.sys.Net.DialContext(ctx, network, net.JoinHostPort(server, a.port))
		if err != nil {
			return nil, 0, err
		}
		defer conn.Close()
		client := &dns.Client{Net: network, Timeout: a.patience, UDPSize: 4096}
		if in, took, err = client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn, UDPSize: 4096}); err != nil || !in.Truncated {
			return in, took, err
		}
	}
	return in, took, nil
}

// recordType is the type of records that a word names.
func recordType(word string) (uint16, bool) {
	kind, ok := dns.StringToType[strings.ToUpper(word)]
	return kind, ok
}
