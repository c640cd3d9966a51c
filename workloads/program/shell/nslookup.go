package shell

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

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
