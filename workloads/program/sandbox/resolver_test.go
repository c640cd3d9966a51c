package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// nameServer answers for the names it has, and remembers what it was asked.
type nameServer struct {
	names map[string]string // to an address, or an rcode.
	mu    sync.Mutex
	asked []string
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	name := r.Question[0].Name
	s.mu.Lock()
	s.asked = append(s.asked, name)
	s.mu.Unlock()
	m := new(dns.Msg).SetReply(r)
	switch value := s.names[name]; {
	case value == "":
		m.Rcode = dns.RcodeNameError
	case dns.StringToRcode[value] != 0:
		m.Rcode = dns.StringToRcode[value]
	case value == "TRUNCATED" && w.LocalAddr().Network() == "udp":
		m.Truncated = true
	default:
		if value == "TRUNCATED" {
			value = "10.0.0.99"
		}
		rr, _ := dns.NewRR(name + " 5 IN A " + value)
		m.Answer = append(m.Answer, rr)
	}
	_ = w.WriteMsg(m)
}

func (s *nameServer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// testResolver is a resolver whose name servers are all the one of the test.
func testResolver(t *testing.T, conf string, s *nameServer) *Resolver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := net.ListenPacket("udp", l.Addr().String())
	require.NoError(t, err)
	for _, srv := range []*dns.Server{{Listener: l, Handler: s}, {PacketConn: p, Handler: s}} {
		started, done := make(chan struct{}), make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(done)
			_ = srv.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			require.NoError(t, srv.Shutdown())
			<-done
		})
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	return &Resolver{
		ResolvConf: path,
		Hosts: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("10.1.1.1 db DB.example # comment\n::1 db\n")), nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "192.0.2.") {
				return nil, errors.New("connection refused")
			}
			return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
		},
	}
}

const podConf = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"

func TestLookupHost(t *testing.T) {
	s := &nameServer{names: map[string]string{
		"web.shop.svc.cluster.local.": "10.96.0.20", "api.other.svc.cluster.local.": "10.96.0.21", "example.com.": "192.0.2.9",
		"big.shop.svc.cluster.local.": "TRUNCATED", "broken.shop.svc.cluster.local.": "SERVFAIL", "broken.": "SERVFAIL",
	}}
	r := testResolver(t, podConf, s)
	for _, tt := range []struct {
		host, want string
		asked      []string
	}{
		{"10.0.0.1", "10.0.0.1", nil},
		{"localhost", "127.0.0.1", nil},
		{"db.example", "10.1.1.1", nil},
		{"web", "10.96.0.20", []string{"web.shop.svc.cluster.local."}},
		{"api.other", "10.96.0.21", []string{"api.other.shop.svc.cluster.local.", "api.other.svc.cluster.local."}},
		{"example.com.", "192.0.2.9", []string{"example.com."}},
		{"big", "10.0.0.99", []string{"big.shop.svc.cluster.local.", "big.shop.svc.cluster.local."}},
	} {
		got, err := r.LookupHost(t.Context(), tt.host)
		require.NoError(t, err, tt.host)
		require.Equal(t, []string{tt.want}, got, tt.host)
		require.Equal(t, tt.asked, s.take(), tt.host)
	}
	_, err := r.LookupHost(t.Context(), "wbe")
	require.EqualError(t, err, "lookup wbe on 10.96.0.10:53: no such host")
	require.Equal(t, []string{"wbe.shop.svc.cluster.local.", "wbe.svc.cluster.local.", "wbe.cluster.local.", "wbe."}, s.take())
	_, err = r.LookupHost(t.Context(), "broken")
	require.EqualError(t, err, "lookup broken on 10.96.0.10:53: server misbehaving")
}

func TestResolvConfIsReadAgain(t *testing.T) {
	s := &nameServer{names: map[string]string{"web.a.": "10.0.0.1", "web.b.": "10.0.0.2"}}
	r := testResolver(t, "search a\nnameserver 10.0.0.53\n", s)
	got, err := r.LookupHost(t.Context(), "web")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1"}, got)
	require.NoError(t, os.WriteFile(r.ResolvConf, []byte("search b\nnameserver 192.0.2.1\nnameserver 10.0.0.53\n"), 0o600))
	got, err = r.LookupHost(t.Context(), "web")
	require.NoError(t, err, "the second server is asked when the first refuses")
	require.Equal(t, []string{"10.0.0.2"}, got)
}

func TestParseResolvConf(t *testing.T) {
	c := parseResolvConf(strings.NewReader("# comment\ndomain x\nsearch a b\nnameserver 1.1.1.1\nnameserver bad\nnameserver 2.2.2.2\noptions ndots:2 timeout:1 attempts:9 rotate edns0\n"))
	require.Equal(t, []string{"1.1.1.1:53", "2.2.2.2:53"}, c.servers)
	require.Equal(t, []string{"a", "b"}, c.search)
	require.Equal(t, 2, c.ndots)
	require.Equal(t, 5, c.attempts)
	require.True(t, c.rotate)
	require.Equal(t, []string{"one.a.", "one.b.", "one."}, c.names("one"))
	require.Equal(t, []string{"x.y.z.", "x.y.z.a.", "x.y.z.b."}, c.names("x.y.z"))
	require.Equal(t, []string{"127.0.0.1:53"}, parseResolvConf(strings.NewReader("")).servers)
}
