package dns

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	miekg "github.com/miekg/dns"
)

// loop sends a question of its own through the server once, and ends the process when it comes back: then questions are forwarded in a circle.
type loop struct {
	next  plugin.Handler
	in    *instance
	zone  string
	qname string
	addr  string
	seen  atomic.Int32
	off   atomic.Bool
}

// setupLoop sets the detection up: loop.
func setupLoop(c *caddy.Controller) error {
	in := instanceOf(c)
	zone := "."
	for i := 0; c.Next(); i++ {
		if i > 0 {
			return plugin.Error("loop", plugin.ErrOnce)
		}
		if c.NextArg() {
			return plugin.Error("loop", c.ArgErr())
		}
		if len(c.ServerBlockKeys) > 0 {
			zone = plugin.Host(c.ServerBlockKeys[0]).NormalizeExact()[0]
		}
	}
	conf := dnsserver.GetConfig(c)
	l := &loop{in: in, zone: zone, addr: net.JoinHostPort("127.0.0.1", conf.Port)}
	l.qname = fmt.Sprintf("%d.%d.%s", rand.Int64(), rand.Int64(), strings.TrimPrefix(zone, "."))
	conf.AddPlugin(func(next plugin.Handler) plugin.Handler {
		l.next = next
		return l
	})
	in.background = append(in.background, l.probe)
	return nil
}

// Name implements plugin.Handler.
func (*loop) Name() string { return "loop" }

// ServeDNS implements plugin.Handler.
func (l *loop) ServeDNS(ctx context.Context, w miekg.ResponseWriter, r *miekg.Msg) (int, error) {
	if q := r.Question[0]; q.Qtype == miekg.TypeHINFO && !l.off.Load() && strings.EqualFold(q.Name, l.qname) && l.seen.Add(1) > 2 {
		select {
		case l.in.fatal <- fmt.Errorf("[FATAL] plugin/loop: Loop (%s -> %s) detected for zone %q, see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO %s\"",
			w.RemoteAddr(), l.addr, l.zone, l.qname):
		default:
		}
	}
	return plugin.NextOrFailure(l.Name(), l.next, ctx, w, r)
}

// probe asks the server, for at most 30 s until it answers, and watches 2 s more for the question to come back.
func (l *loop) probe(ctx context.Context) {
	defer l.off.Store(true)
	clock := l.in.sys.Clock
	for range 30 {
		l.seen.Store(0)
		q := new(miekg.Msg).SetQuestion(l.qname, miekg.TypeHINFO)
		pause := time.Second
		if _, err := exchange(ctx, l.in.sys, "udp", l.addr, q); err == nil {
			pause = 2 * time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-clock.After(pause):
		}
		if pause > time.Second {
			return
		}
	}
}
