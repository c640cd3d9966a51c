package chaosdaemon

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	dnspb "github.com/chaos-mesh/k8s_dns_chaos/pb"
	"github.com/miekg/dns"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The actions of a DNSChaos.
const (
	dnsError  = "error"
	dnsRandom = "random"
)

// upstreamTimeout bounds one question to cluster DNS.
const upstreamTimeout = 4 * time.Second

// DNS is where the node's resolver for pods under a DNSChaos is, and what it asks for the names that the chaos leaves alone.
type DNS struct {
	// Listen is the address on the userspace network: the node's own, port 53.
	Listen netip.AddrPort
	// Upstream is cluster DNS, for example 10.96.0.10:53.
	Upstream netip.AddrPort
}

// dnsRule is what one DNSChaos does to one pod.
type dnsRule struct {
	chaos    string
	action   string
	patterns []string // none: every name
}

// dnsService is Chaos Mesh's DNS service for the pods of this node, and the resolver that carries out its rules.
type dnsService struct{ d *daemon }

// SetDNSChaos sets the rule of pods of this node; a pod has at most one, the last.
func (s dnsService) SetDNSChaos(ctx context.Context, req *dnspb.SetDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	if req.GetAction() != dnsError && req.GetAction() != dnsRandom {
		return nil, status.Errorf(codes.InvalidArgument, "DNS chaos action %q is not supported (error, random)", req.GetAction())
	}
	rule := dnsRule{chaos: req.GetName(), action: req.GetAction()}
	for _, pattern := range req.GetPatterns() {
		if i := strings.IndexByte(pattern, '*'); i >= 0 && i != len(pattern)-1 {
			return nil, status.Errorf(codes.InvalidArgument, "DNS pattern %q: * is allowed at the end only", pattern)
		}
		rule.patterns = append(rule.patterns, strings.ToLower(strings.TrimSuffix(pattern, ".")))
	}
	for _, pod := range req.GetPods() {
		sandbox, err := s.d.cfg.Runtime.Sandbox(ctx, PodRef{Namespace: pod.GetNamespace(), Name: pod.GetName()})
		if err != nil {
			return nil, status.Errorf(codes.NotFound, "find pod %s/%s: %v", pod.GetNamespace(), pod.GetName(), err)
		}
		state := s.d.state(sandbox)
		state.mu.Lock()
		state.dns = &rule
		state.mu.Unlock()
	}
	return &dnspb.DNSChaosResponse{Result: true}, nil
}

// CancelDNSChaos takes a rule back from every pod that still has it.
func (s dnsService) CancelDNSChaos(_ context.Context, req *dnspb.CancelDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	for _, state := range s.d.sandboxes {
		state.mu.Lock()
		if state.dns != nil && state.dns.chaos == req.GetName() {
			state.dns = nil
		}
		state.mu.Unlock()
	}
	return &dnspb.DNSChaosResponse{Result: true}, nil
}

// serveDNS answers the pods' questions until ctx ends.
func (d *daemon) serveDNS(ctx context.Context) error {
	conn, err := d.cfg.Network.ListenPacket(d.cfg.DNS.Listen.Port())
	if err != nil {
		return err
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { d.answer(ctx, w, r) })}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // closing it ends the server
	defer stop()
	if err := server.ActivateAndServe(); err != nil && ctx.Err() == nil {
		return errors.Join(err, conn.Close())
	}
	return nil
}

func (d *daemon) answer(ctx context.Context, w dns.ResponseWriter, question *dns.Msg) {
	reply := d.fault(w.RemoteAddr(), question)
	if reply == nil {
		reply = d.ask(ctx, question)
	}
	if err := w.WriteMsg(reply); err != nil && ctx.Err() == nil {
		d.cfg.Log.DebugContext(ctx, "answer a DNS question", "error", err)
	}
}

// fault returns the wrong answer where a rule wants one, else nil.
func (d *daemon) fault(from net.Addr, question *dns.Msg) *dns.Msg {
	peer, err := netip.ParseAddrPort(from.String())
	if err != nil || len(question.Question) == 0 {
		return nil
	}
	sandbox, ok := d.cfg.Network.SandboxAt(peer.Addr().Unmap())
	if !ok {
		return nil
	}
	state := d.state(sandbox)
	state.mu.Lock()
	rule := state.dns
	state.mu.Unlock()
	q := question.Question[0]
	if rule == nil || !rule.matches(q.Name) {
		return nil
	}
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 10}
	reply := new(dns.Msg).SetReply(question)
	switch {
	case rule.action == dnsRandom && q.Qtype == dns.TypeA:
		reply.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(octet(), octet(), octet(), octet())}}
	case rule.action == dnsRandom && q.Qtype == dns.TypeAAAA:
		reply.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: net.ParseIP("2001:db8::123:12:1")}}
	default:
		return new(dns.Msg).SetRcode(question, dns.RcodeServerFailure)
	}
	reply.Authoritative = true
	return reply
}

func octet() byte { return byte(rand.IntN(255)) } //nolint:gosec // It is meant to be a wrong address, not a secret.

func (r *dnsRule) matches(name string) bool {
	if len(r.patterns) == 0 {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, pattern := range r.patterns {
		if matchDNS(pattern, name) {
			return true
		}
	}
	return false
}

// matchDNS matches a name: ? is one character, * at the end is any rest.
func matchDNS(pattern, name string) bool {
	rest, open := strings.CutSuffix(pattern, "*")
	if len(name) < len(rest) || !open && len(name) != len(rest) {
		return false
	}
	for i := range len(rest) {
		if rest[i] != '?' && rest[i] != name[i] {
			return false
		}
	}
	return true
}

// ask passes a question on to cluster DNS.
func (d *daemon) ask(ctx context.Context, question *dns.Msg) *dns.Msg {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	failed := new(dns.Msg).SetRcode(question, dns.RcodeServerFailure)
	conn, err := d.cfg.Network.Dial(ctx, "udp", d.cfg.DNS.Upstream.String())
	if err != nil {
		return failed
	}
	defer conn.Close()
	reply, _, err := (&dns.Client{Timeout: upstreamTimeout, UDPSize: dns.MaxMsgSize}).ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn})
	if err != nil {
		return failed
	}
	return reply
}
