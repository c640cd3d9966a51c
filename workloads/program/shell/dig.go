package shell

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

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
