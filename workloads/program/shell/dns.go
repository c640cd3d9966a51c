package shell

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
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

// nslookup is nslookup [-type=T] [-port=N] [-timeout=N] [-retry=N] NAME [SERVER].
func nslookup(c *command) int {
	a := c.asker()
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	var rest []string
	for _, arg := range c.args {
		if !strings.HasPrefix(arg, "-") {
			rest = append(rest, arg)
			continue
		}
		name, value, _ := strings.Cut(arg[1:], "=")
		number, err := strconv.Atoi(value)
		switch {
		case name == "type" || name == "query" || name == "q" || name == "querytype":
			kind, known := recordType(value)
			if !known {
				return c.fail(1, "unknown query type: %s", value)
			}
			kinds = []uint16{kind}
		case err != nil:
		case name == "port":
			a.port = value
		case name == "timeout":
			a.patience = time.Duration(number) * time.Second
		case name == "retry":
			a.tries = max(number, 1)
		}
	}
	if len(rest) == 0 || len(rest) > 2 {
		return c.fail(1, "want [-type=TYPE] NAME [SERVER]")
	}
	if len(rest) == 2 {
		a.server = rest[1]
	}
	names := a.conf.Candidates(rest[0])
	if reverse, err := dns.ReverseAddr(rest[0]); err == nil {
		names, kinds = []string{reverse}, []uint16{dns.TypePTR}
	}
	return a.lookUp(rest[0], names, kinds)
}

// lookUp prints the records of the first of names that has any.
func (a *asker) lookUp(given string, names []string, kinds []uint16) int {
	told, last := false, "NXDOMAIN"
	for _, name := range names {
		var answers []dns.RR
		for _, kind := range kinds {
			in, server, _, err := a.ask(name, kind)
			if err != nil {
				a.printf(";; connection timed out; no servers could be reached\n")
				return 1
			}
			if !told {
				a.printf("Server:\t\t%s\nAddress:\t%s\n\n", server, net.JoinHostPort(server, a.port))
				told = true
			}
			if last = dns.RcodeToString[in.Rcode]; in.Rcode == dns.RcodeSuccess {
				last = "No answer"
			}
			for _, rr := range in.Answer {
				if !slices.ContainsFunc(answers, func(known dns.RR) bool { return dns.IsDuplicate(known, rr) }) {
					answers = append(answers, rr)
				}
			}
			if in.Rcode != dns.RcodeSuccess {
				break
			}
		}
		for _, rr := range answers {
			a.printAnswer(rr)
		}
		if len(answers) > 0 {
			return 0
		}
	}
	if last == "No answer" {
		a.printf("*** Can't find %s: No answer\n", given)
		return 1
	}
	a.printf("** server can't find %s: %s\n", given, last)
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
	case *dns.SRV:
		c.printf("%s\tservice = %d %d %d %s\n", name, rr.Priority, rr.Weight, rr.Port, rr.Target)
	case *dns.NS:
		c.printf("%s\tnameserver = %s\n", name, rr.Ns)
	case *dns.MX:
		c.printf("%s\tmail exchanger = %d %s\n", name, rr.Preference, rr.Mx)
	case *dns.TXT:
		c.printf("%s\ttext = %s\n", name, strings.TrimPrefix(rr.String(), rr.Hdr.String()))
	default:
		c.printf("%s\n", rr.String())
	}
}

// digger is one command line of dig.
type digger struct {
	*asker
	name                  string
	kind                  uint16
	short, search         bool
	answerOnly, onlyParts bool
}

// dig is dig [@SERVER] [-p PORT] [-t TYPE] [-x ADDRESS] NAME [TYPE] [+short] [+search] [+noall +answer] [+tcp] [+time=N] [+tries=N].
func dig(c *command) int {
	d := &digger{asker: c.asker(), name: ".", kind: dns.TypeA}
	d.tries = 3
	if err := d.parse(c.args); err != nil {
		return c.fail(1, "%v", err)
	}
	names := []string{dns.Fqdn(d.name)}
	if d.search {
		names = d.conf.Candidates(d.name)
	}
	var answer *dns.Msg
	var server string
	var took time.Duration
	for _, candidate := range names {
		var err error
		if answer, server, took, err = d.ask(candidate, d.kind); err != nil {
			c.printf(";; communications error to %s#%s: %s\n;; no servers could be reached\n", server, d.port, netReason(err))
			return 9
		}
		if len(answer.Answer) > 0 {
			break
		}
	}
	switch {
	case d.short:
		for _, rr := range answer.Answer {
			c.printf("%s\n", strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	case d.onlyParts && d.answerOnly:
		for _, rr := range answer.Answer {
			c.printf("%s\n", rr.String())
		}
	case d.onlyParts:
	default:
		c.printf("; <<>> dig <<>> %s\n%s\n;; Query time: %d msec\n;; SERVER: %s#%s\n", strings.Join(c.args, " "), answer.String(), took.Milliseconds(), server, d.port)
	}
	return 0
}

func (d *digger) parse(args []string) error {
	named := false
	for i := 0; i < len(args); i++ {
		arg, next := args[i], ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		kind, isType := recordType(arg)
		switch {
		case strings.HasPrefix(arg, "@"):
			d.server = arg[1:]
		case strings.HasPrefix(arg, "+"):
			d.option(arg[1:])
		case arg == "-p":
			d.port, i = next, i+1
		case arg == "-t":
			if d.kind, isType = recordType(next); !isType {
				return fmt.Errorf("unknown type %q", next)
			}
			i++
		case arg == "-x":
			reverse, err := dns.ReverseAddr(next)
			if err != nil {
				return fmt.Errorf("invalid address %q", next)
			}
			d.name, d.kind, named, i = reverse, dns.TypePTR, true, i+1
		case strings.HasPrefix(arg, "-"):
		case isType && (named || len(args) > 1) && !strings.Contains(arg, "."):
			d.kind = kind
		default:
			d.name, named = arg, true
		}
	}
	return nil
}

func (d *digger) option(o string) {
	name, value, _ := strings.Cut(o, "=")
	number, err := strconv.Atoi(value)
	switch {
	case name == "short":
		d.short = true
	case name == "search":
		d.search = true
	case name == "tcp", name == "vc":
		d.tcp = true
	case name == "noall":
		d.onlyParts = true
	case name == "answer":
		d.answerOnly = true
	case err != nil:
	case name == "time":
		d.patience = max(time.Duration(number)*time.Second, time.Second)
	case name == "tries":
		d.tries = max(number, 1)
	}
}
