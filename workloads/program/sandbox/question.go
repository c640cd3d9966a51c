package sandbox

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ednsSize is the size of answers that the option edns0 offers to take.
const ednsSize = 1200

// reply is what one server had to say to the questions about one name; nil where it said nothing of use.
type reply struct {
	a, aaaa *dns.Msg
	// outcome and err say why a question has no useful answer.
	outcome outcome
	err     error
}

// query is res_query: it asks the name servers for one name, each in turn, attempts times, until one has an answer.
func (r *Resolver) query(ctx context.Context, c *ResolvConf, fqdn string) ([]string, outcome, *net.DNSError) {
	first := 0
	if c.Rotate {
		first = int(r.turn.Add(1)-1) % len(c.Servers)
	}
	last, heard := reply{outcome: refused}, false
	server := ""
	for range c.Attempts {
		for i := range c.Servers {
			i = (first + i) % len(c.Servers)
			server = c.Servers[i].String()
			said := r.exchange(ctx, c, i, fqdn)
			if said.err == nil && said.outcome != failed {
				out, why := said.addresses()
				if len(out) > 0 {
					return out, 0, nil
				}
				return nil, why, why.failure(server, nil)
			}
			if said.outcome != refused {
				heard = true
			}
			last = said
			if ctx.Err() != nil {
				return nil, mute, mute.failure(server, last.err)
			}
		}
	}
	why := last.outcome
	if why == refused && heard {
		why = mute
	}
	return nil, why, why.failure(server, last.err)
}

// addresses are the addresses of both answers, or why there is none.
func (p *reply) addresses() ([]string, outcome) {
	var out []string
	why := absent
	for _, in := range []*dns.Msg{p.a, p.aaaa} {
		if in == nil {
			continue
		}
		switch in.Rcode {
		case dns.RcodeSuccess:
			why = empty
		case dns.RcodeNameError:
		default:
			if why == absent {
				why = useless
			}
		}
		for _, rr := range in.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				out = append(out, rr.A.String())
			case *dns.AAAA:
				out = append(out, rr.AAAA.String())
			}
		}
	}
	return out, why
}

// exchange asks one server for both kinds of addresses: at once over one socket, or one after the other.
func (r *Resolver) exchange(ctx context.Context, c *ResolvConf, server int, fqdn string) reply {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	if c.NoAAAA {
		kinds = kinds[:1]
	}
	var questions []*dns.Msg
	for _, kind := range kinds {
		q := new(dns.Msg).SetQuestion(fqdn, kind)
		if c.EDNS {
			q.SetEdns0(ednsSize, false)
		}
		questions = append(questions, q)
	}
	var answers []*dns.Msg
	var err error
	if c.Single {
		for _, q := range questions {
			var one []*dns.Msg
			if one, err = r.ask(ctx, c, server, []*dns.Msg{q}); err != nil {
				break
			}
			answers = append(answers, one...)
		}
	} else {
		answers, err = r.ask(ctx, c, server, questions)
	}
	return judge(answers, err)
}

// judge sorts out what the answers are worth: addresses of one kind are enough, and a server that could not answer one
// question has not said that there is nothing.
func judge(answers []*dns.Msg, err error) reply {
	p := reply{err: err}
	found := false
	for _, in := range answers {
		switch {
		case in == nil:
			continue
		case in.Rcode == dns.RcodeServerFailure, in.Rcode == dns.RcodeNotImplemented, in.Rcode == dns.RcodeRefused, lame(in):
			p.outcome = failed
			continue
		case in.Question[0].Qtype == dns.TypeA:
			p.a = in
		default:
			p.aaaa = in
		}
		found = found || len(in.Answer) > 0 && in.Rcode == dns.RcodeSuccess
	}
	switch {
	case found:
		p.err, p.outcome = nil, 0
	case err != nil && isRefused(err):
		p.outcome = refused
	case err != nil:
		p.outcome = mute
	}
	return p
}

// lame is an answer of a server that neither knows nor asks.
func lame(in *dns.Msg) bool {
	return in.Rcode == dns.RcodeSuccess && len(in.Answer) == 0 && len(in.Extra) == 0 && !in.Authoritative && !in.RecursionAvailable
}

// ask sends questions to one server, over UDP, and over TCP those whose answers were cut. With an error come the answers
// that are there.
func (r *Resolver) ask(ctx context.Context, c *ResolvConf, server int, questions []*dns.Msg) ([]*dns.Msg, error) {
	address, patience := c.Servers[server].String(), c.patience(server)
	if c.TCP {
		return r.askOver(ctx, "tcp", address, patience, questions)
	}
	answers, err := r.askOver(ctx, "udp", address, patience, questions)
	for i, in := range answers {
		if in == nil || !in.Truncated {
			continue
		}
		whole, failure := r.askOver(ctx, "tcp", address, patience, questions[i:i+1])
		answers[i] = nil
		if failure != nil {
			err = failure
			continue
		}
		answers[i] = whole[0]
	}
	return answers, err
}

func (r *Resolver) askOver(ctx context.Context, network, address string, patience time.Duration, questions []*dns.Msg) ([]*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]*dns.Msg, len(questions))
	conn, err := r.Dial(ctx, network, address)
	if err != nil {
		return answers, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	d := &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}
	for _, q := range questions {
		if err := d.WriteMsg(q); err != nil {
			return answers, err
		}
	}
	for missing := len(questions); missing > 0; {
		in, err := d.ReadMsg()
		var garbled *dns.Error
		if errors.As(err, &garbled) && network == "udp" {
			continue
		}
		if err != nil {
			return answers, err
		}
		if i := answered(questions, in); i >= 0 && answers[i] == nil {
			answers[i] = in
			missing--
		}
	}
	return answers, nil
}

// answered is the index of the question that in answers, or -1 where it is none of them.
func answered(questions []*dns.Msg, in *dns.Msg) int {
	for i, q := range questions {
		if in.Response && in.Id == q.Id && len(in.Question) == 1 && in.Question[0].Qtype == q.Question[0].Qtype &&
			strings.EqualFold(in.Question[0].Name, q.Question[0].Name) {
			return i
		}
	}
	return -1
}
