package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	miekg "github.com/miekg/dns"

	"github.com/gameday-bench/gameday/workloads/program"
)

const (
	// forwardTimeout bounds how long all upstreams together may take, and upstreamTimeout each of them, as in CoreDNS.
	forwardTimeout  = 5 * time.Second
	upstreamTimeout = 2 * time.Second
	maxUpstreams    = 15
)

// forward sends questions to upstream servers. An upstream file without a server stands for a resolver that knows no name, which is what
// the embedded cluster's nodes have: there is nothing beyond the cluster.
type forward struct {
	next     plugin.Handler
	sys      *program.Sys
	from     string
	except   []string
	to       []string
	nowhere  bool // the upstreams came from a file without one.
	policy   string
	forceTCP bool
	limit    int64
	active   atomic.Int64
	turn     atomic.Uint64
}

// setupForward reads forward FROM TO... { ... } as CoreDNS does.
func setupForward(c *caddy.Controller) error {
	in := instanceOf(c)
	for c.Next() {
		f := &forward{sys: in.sys, policy: "random"}
		if err := f.parse(c); err != nil {
			return plugin.Error("forward", err)
		}
		dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
			f.next = next
			return f
		})
	}
	return nil
}

func (f *forward) parse(c *caddy.Controller) error {
	var from string
	if !c.Args(&from) {
		return c.ArgErr()
	}
	zones := plugin.Host(from).NormalizeExact()
	if len(zones) == 0 {
		return fmt.Errorf("unable to normalize '%s'", from)
	}
	f.from = zones[0]
	to := c.RemainingArgs()
	if len(to) == 0 {
		return c.ArgErr()
	}
	for _, t := range to {
		if err := f.upstream(t); err != nil {
			return err
		}
	}
	if len(f.to) > maxUpstreams {
		return fmt.Errorf("more than %d TOs configured: %d", maxUpstreams, len(f.to))
	}
	for c.NextBlock() {
		if err := f.property(c); err != nil {
			return err
		}
	}
	return nil
}

// upstream adds an address, or those of a file in resolv.conf's format.
func (f *forward) upstream(text string) error {
	text = strings.TrimPrefix(text, "dns://")
	if a, err := netip.ParseAddr(text); err == nil {
		f.to = append(f.to, netip.AddrPortFrom(a, 53).String())
		return nil
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		f.to = append(f.to, a.String())
		return nil
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return fmt.Errorf("'%s' is not supported as a destination protocol in forward: %s", scheme, text)
	}
	file, err := f.sys.Files.Open(text)
	if err != nil {
		return fmt.Errorf("not an IP address or file: %q", text)
	}
	defer file.Close()
	conf, err := miekg.ClientConfigFromReader(file)
	if err != nil {
		return err
	}
	for _, s := range conf.Servers {
		f.to = append(f.to, net.JoinHostPort(s, "53"))
	}
	f.nowhere = f.nowhere || len(conf.Servers) == 0
	return nil
}

// property reads one line of the block. What only tunes CoreDNS's own connections is checked and has no effect.
func (f *forward) property(c *caddy.Controller) error {
	name, args := c.Val(), c.RemainingArgs()
	one := len(args) == 1
	switch name {
	case "except":
		if len(args) == 0 {
			return c.ArgErr()
		}
		for _, a := range args {
			f.except = append(f.except, plugin.Host(a).NormalizeExact()...)
		}
	case "force_tcp", "prefer_udp", "failfast_all_unhealthy_upstreams":
		if len(args) > 0 {
			return c.ArgErr()
		}
		f.forceTCP = f.forceTCP || name == "force_tcp"
	case "expire", "health_check":
		if len(args) == 0 {
			return c.ArgErr()
		}
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		if d < 0 {
			return fmt.Errorf("%s can't be negative: %s", name, d)
		}
	case "max_fails", "max_concurrent":
		if !one {
			return c.ArgErr()
		}
		n, err := strconv.ParseInt(args[0], 10, 32)
		if err != nil {
			return err
		}
		if n < 0 {
			return fmt.Errorf("%s can't be negative: %d", name, n)
		}
		if name == "max_concurrent" {
			f.limit = n
		}
	case "policy":
		if !one {
			return c.ArgErr()
		}
		if !slices.Contains([]string{"random", "round_robin", "sequential"}, args[0]) {
			return c.Errf("unknown policy '%s'", args[0])
		}
		f.policy = args[0]
	default:
		return c.Errf("unknown property '%s'", name)
	}
	return nil
}

// Name implements plugin.Handler.
func (*forward) Name() string { return "forward" }

// ServeDNS implements plugin.Handler.
func (f *forward) ServeDNS(ctx context.Context, w miekg.ResponseWriter, r *miekg.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	if !plugin.Name(f.from).Matches(state.Name()) || slices.ContainsFunc(f.except, func(z string) bool { return plugin.Name(z).Matches(state.Name()) }) {
		return plugin.NextOrFailure(f.Name(), f.next, ctx, w, r)
	}
	if n := f.active.Add(1); f.limit > 0 && n > f.limit {
		f.active.Add(-1)
		return miekg.RcodeRefused, fmt.Errorf("concurrent queries exceeded maximum %d", f.limit)
	}
	defer f.active.Add(-1)
	if len(f.to) == 0 && f.nowhere {
		_ = w.WriteMsg(new(miekg.Msg).SetRcode(r, miekg.RcodeNameError))
		return miekg.RcodeSuccess, nil
	}
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	var last error
	for _, to := range f.order() {
		answer, err := f.ask(ctx, to, state)
		if err != nil {
			last = err
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if !state.Match(answer) {
			_ = w.WriteMsg(new(miekg.Msg).SetRcode(r, miekg.RcodeFormatError))
			return miekg.RcodeSuccess, nil
		}
		_ = w.WriteMsg(answer)
		return miekg.RcodeSuccess, nil
	}
	return miekg.RcodeServerFailure, last
}

// order is the upstreams in the order in which the policy tries them.
func (f *forward) order() []string {
	first := 0
	switch f.policy {
	case "random":
		first = rand.IntN(len(f.to))
	case "round_robin":
		first = int(f.turn.Add(1)-1) % len(f.to)
	}
	return append(slices.Clone(f.to[first:]), f.to[:first]...)
}

func (f *forward) ask(ctx context.Context, to string, state request.Request) (*miekg.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	network := state.Proto()
	if f.forceTCP {
		network = "tcp"
	}
	answer, err := exchange(ctx, f.sys, network, to, state.Req)
	if err == nil && answer.Truncated && network == "udp" {
		return exchange(ctx, f.sys, "tcp", to, state.Req)
	}
	return answer, err
}

// exchange asks one server one question.
func exchange(ctx context.Context, sys *program.Sys, network, to string, q *miekg.Msg) (*miekg.Msg, error) {
	conn, err := sys.Net.DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, ok := ctx.Deadline(); !ok {
		if err := conn.SetDeadline(time.Now().Add(upstreamTimeout)); err != nil {
			return nil, err
		}
	}
	c := &miekg.Conn{Conn: conn, UDPSize: miekg.MaxMsgSize}
	if err := c.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		in, err := c.ReadMsg()
		if err != nil {
			return nil, err
		}
		if in.Id == q.Id {
			return in, nil
		}
		if network == "tcp" {
			return nil, errors.New("answer to another question")
		}
	}
}
