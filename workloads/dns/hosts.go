package dns

import (
	"bufio"
	"bytes"
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnsutil"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/coredns/coredns/request"
	miekg "github.com/miekg/dns"

	"github.com/gameday-bench/gameday/workloads/program"
)

// hostsReload is how long a hosts file is believed before it is read again.
const hostsReload = 5 * time.Second

// hosts answers from a hosts file and from lines of the Corefile.
type hosts struct {
	next      plugin.Handler
	sys       *program.Sys
	path      string
	zones     []string
	inline    []string
	ttl       uint32
	noReverse bool
	fall      fall.F

	mu    sync.Mutex
	read  time.Time
	names map[string][]netip.Addr
	addrs map[netip.Addr][]string
}

// setupHosts reads hosts [FILE [ZONES...]] { [LINES] ttl no_reverse reload fallthrough }.
func setupHosts(c *caddy.Controller) error {
	h := &hosts{sys: instanceOf(c).sys, path: "/etc/hosts", ttl: 3600}
	for i := 0; c.Next(); i++ {
		if i > 0 {
			return plugin.Error("hosts", plugin.ErrOnce)
		}
		args := c.RemainingArgs()
		if len(args) > 0 {
			h.path, args = args[0], args[1:]
		}
		h.zones = plugin.OriginsFromArgsOrServerBlock(args, c.ServerBlockKeys)
		for c.NextBlock() {
			if err := h.property(c); err != nil {
				return plugin.Error("hosts", err)
			}
		}
	}
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		h.next = next
		return h
	})
	return nil
}

func (h *hosts) property(c *caddy.Controller) error {
	switch name := c.Val(); name {
	case "fallthrough":
		h.fall.SetZonesFromArgs(c.RemainingArgs())
	case "no_reverse":
		h.noReverse = true
	case "reload":
		if args := c.RemainingArgs(); len(args) != 1 {
			return c.Errf("reload needs a duration (zero seconds to disable)")
		} else if _, err := time.ParseDuration(args[0]); err != nil {
			return c.Errf("invalid duration for reload '%s'", args[0])
		}
	case "ttl":
		args := c.RemainingArgs()
		if len(args) != 1 {
			return c.Errf("ttl needs a time in second")
		}
		ttl, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil || ttl == 0 {
			return c.Errf("ttl needs a number of second")
		}
		h.ttl = uint32(ttl)
	default:
		if _, err := netip.ParseAddr(name); err != nil {
			return c.Errf("unknown property '%s'", name)
		}
		h.inline = append(h.inline, strings.Join(append([]string{name}, c.RemainingArgs()...), " "))
	}
	return nil
}

// load reads the file again when it is due. It is called with the lock held.
func (h *hosts) load() {
	now := h.sys.Clock.Now()
	if h.names != nil && now.Sub(h.read) < hostsReload {
		return
	}
	data, err := program.ReadFile(h.sys.Files, h.path)
	if err != nil {
		data = nil
	}
	h.read, h.names, h.addrs = now, map[string][]netip.Addr{}, map[netip.Addr][]string{}
	lines := bufio.NewScanner(bytes.NewReader(append(data, []byte("\n"+strings.Join(h.inline, "\n"))...)))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		a, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			name = plugin.Name(name).Normalize()
			h.names[name] = append(h.names[name], a)
			h.addrs[a] = append(h.addrs[a], name)
		}
	}
}

// Name implements plugin.Handler.
func (*hosts) Name() string { return "hosts" }

// ServeDNS implements plugin.Handler.
func (h *hosts) ServeDNS(ctx context.Context, w miekg.ResponseWriter, r *miekg.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	zone := plugin.Zones(h.zones).Matches(state.Name())
	if zone == "" && (state.QType() != miekg.TypePTR || h.noReverse) {
		return plugin.NextOrFailure(h.Name(), h.next, ctx, w, r)
	}
	answers, exists := h.answers(&state)
	if len(answers) == 0 && !exists {
		if state.QType() == miekg.TypePTR || h.fall.Through(state.Name()) {
			return plugin.NextOrFailure(h.Name(), h.next, ctx, w, r)
		}
		return miekg.RcodeServerFailure, nil
	}
	m := new(miekg.Msg).SetReply(r)
	m.Authoritative, m.Answer = true, answers
	_ = w.WriteMsg(m)
	return miekg.RcodeSuccess, nil
}

// answers returns the records, and whether the name exists at all.
func (h *hosts) answers(state *request.Request) (out []miekg.RR, exists bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.load()
	head := func(t uint16) miekg.RR_Header {
		return miekg.RR_Header{Name: state.QName(), Rrtype: t, Class: miekg.ClassINET, Ttl: h.ttl}
	}
	if state.QType() == miekg.TypePTR {
		if a, err := netip.ParseAddr(dnsutil.ExtractAddressFromReverse(state.Name())); err == nil && !h.noReverse {
			for _, name := range h.addrs[a] {
				out = append(out, &miekg.PTR{Hdr: head(miekg.TypePTR), Ptr: name})
			}
		}
		return out, false
	}
	addrs, exists := h.names[state.Name()]
	for _, a := range addrs {
		switch {
		case a.Is4() && state.QType() == miekg.TypeA:
			out = append(out, &miekg.A{Hdr: head(miekg.TypeA), A: a.AsSlice()})
		case a.Is6() && state.QType() == miekg.TypeAAAA:
			out = append(out, &miekg.AAAA{Hdr: head(miekg.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	return out, exists
}
