package sandbox

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// nameServer is one name server: it answers for the names it has, and remembers what it was asked.
type nameServer struct {
	// names maps a name to the words of its answer: IPv4 and IPv6 addresses, CNAME=x, an rcode, TRUNCATED (over UDP), EMPTY, LAME,
	// MUTE (no answer), A-FAILS (SERVFAIL for the A question).
	names map[string]string
	mu    sync.Mutex
	asked []string
	wires []string
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	name, kind, wire := r.Question[0].Name, r.Question[0].Qtype, w.LocalAddr().Network()
	s.mu.Lock()
	// The two kinds go out together: one entry for both, unless a test looks at the kinds.
	if kind == dns.TypeA {
		s.asked = append(s.asked, name)
	}
	s.wires = append(s.wires, wire+" "+dns.TypeToString[kind])
	s.mu.Unlock()
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	words := strings.Fields(s.names[name])
	if len(words) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	for _, word := range words {
		switch {
		case word == "MUTE":
			return
		case word == "EMPTY":
		case word == "LAME":
			m.Authoritative = false
		case word == "TRUNCATED" && wire == "udp":
			m.Truncated = true
			_ = w.WriteMsg(m)
			return
		case word == "TRUNCATED":
		case word == "A-FAILS":
			if kind == dns.TypeA {
				m.Rcode = dns.RcodeServerFailure
			}
		case dns.StringToRcode[word] != 0:
			m.Rcode = dns.StringToRcode[word]
		case strings.HasPrefix(word, "CNAME="):
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: word[6:]})
			name = word[6:]
		case strings.Contains(word, ":") == (kind == dns.TypeAAAA):
			rr, _ := dns.NewRR(name + " 5 IN " + dns.TypeToString[kind] + " " + word)
			m.Answer = append(m.Answer, rr)
		}
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

func (s *nameServer) serve(t *testing.T) string {
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
	return l.Addr().String()
}

// testResolver is a resolver whose name servers are those of the test, by address; nobody is behind any other address.
func testResolver(t *testing.T, conf string, servers map[string]*nameServer) *Resolver {
	t.Helper()
	addresses := map[string]string{}
	for address, s := range servers {
		addresses[address+":53"] = s.serve(t)
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	return &Resolver{
		ResolvConf: path,
		Hosts: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("# comment\n10.1.1.1\tdb DB.example # comment\n::1 db\n10.1.1.2 db\nbad db\n10.1.1.1 db\n")), nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			to, ok := addresses[address]
			if !ok {
				return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
}

const podConf = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5 timeout:1 attempts:1\n"

func TestLookupHost(t *testing.T) {
	s := &nameServer{names: map[string]string{
		"web.shop.svc.cluster.local.": "10.96.0.20", "api.other.svc.cluster.local.": "10.96.0.21 fd00::21", "example.com.": "192.0.2.9",
		"big.shop.svc.cluster.local.": "TRUNCATED 10.0.0.99", "six.shop.svc.cluster.local.": "fd00::6",
		"alias.shop.svc.cluster.local.": "CNAME=target.example. 192.0.2.7", "half.shop.svc.cluster.local.": "A-FAILS fd00::7",
		"next.shop.svc.cluster.local.": "EMPTY", "next.svc.cluster.local.": "10.96.0.22",
		"over.shop.svc.cluster.local.": "SERVFAIL", "over.svc.cluster.local.": "10.96.0.23",
		"a.b.c.d.e.f.": "192.0.2.10",
	}}
	r := testResolver(t, podConf, map[string]*nameServer{"10.96.0.10": s})
	for _, tt := range []struct {
		host  string
		want  []string
		asked []string
	}{
		{"10.0.0.1", []string{"10.0.0.1"}, nil},
		{"fd00::1", []string{"fd00::1"}, nil},
		{"localhost", []string{"127.0.0.1"}, nil},
		// All lines of the hosts file count, in any case, and IPv4 comes first.
		{"db.example", []string{"10.1.1.1"}, nil},
		{"Db", []string{"10.1.1.1", "10.1.1.2", "::1"}, nil},
		{"web", []string{"10.96.0.20"}, []string{"web.shop.svc.cluster.local."}},
		{"api.other", []string{"10.96.0.21", "fd00::21"}, []string{"api.other.shop.svc.cluster.local.", "api.other.svc.cluster.local."}},
		{"six", []string{"fd00::6"}, []string{"six.shop.svc.cluster.local."}},
		{"alias", []string{"192.0.2.7"}, []string{"alias.shop.svc.cluster.local."}},
		// Addresses of one kind are enough.
		{"half", []string{"fd00::7"}, []string{"half.shop.svc.cluster.local."}},
		// A name without addresses, and one that a server cannot answer for, lead on in the search list.
		{"next", []string{"10.96.0.22"}, []string{"next.shop.svc.cluster.local.", "next.svc.cluster.local."}},
		{"over", []string{"10.96.0.23"}, []string{"over.shop.svc.cluster.local.", "over.svc.cluster.local."}},
		// An absolute name is tried as it is only; one with enough dots is tried so first.
		{"example.com.", []string{"192.0.2.9"}, []string{"example.com."}},
		{"a.b.c.d.e.f", []string{"192.0.2.10"}, []string{"a.b.c.d.e.f."}},
		{"big", []string{"10.0.0.99"}, []string{"big.shop.svc.cluster.local.", "big.shop.svc.cluster.local."}},
	} {
		got, err := r.LookupHost(t.Context(), tt.host)
		require.NoError(t, err, tt.host)
		require.Equal(t, tt.want, got, tt.host)
		require.Equal(t, tt.asked, s.take(), tt.host)
	}
}

func TestLookupHostFails(t *testing.T) {
	all := func(host string) []string {
		return []string{host + ".shop.svc.cluster.local.", host + ".svc.cluster.local.", host + ".cluster.local.", host + "."}
	}
	s := &nameServer{names: map[string]string{
		"broken.": "SERVFAIL", "first.shop.svc.cluster.local.": "SERVFAIL", "empty.svc.cluster.local.": "EMPTY", "lame.shop.svc.cluster.local.": "LAME",
		"refuses.": "REFUSED", "malformed.shop.svc.cluster.local.": "FORMERR", "mute.shop.svc.cluster.local.": "MUTE",
		"half.shop.svc.cluster.local.": "A-FAILS EMPTY", "a.b.c.d.e.f.": "SERVFAIL",
	}}
	r := testResolver(t, podConf, map[string]*nameServer{"10.96.0.10": s})
	const none, cannot = "no such host", "server misbehaving"
	for _, tt := range []struct {
		host, want string
		asked      []string
		notFound   bool
	}{
		{"wbe", none, all("wbe"), true},
		{"wbe.", none, []string{"wbe."}, true},
		{"broken", cannot, all("broken"), false},
		// What a server could not answer is told, although the name as it is does not exist.
		{"first", cannot, all("first"), false},
		{"half", cannot, all("half"), false},
		{"lame", cannot, all("lame"), false},
		{"refuses", cannot, all("refuses"), false},
		{"empty", none, all("empty"), true},
		// Other errors end the search list, but not the look-up.
		{"malformed", none, []string{"malformed.shop.svc.cluster.local.", "malformed."}, true},
		{"mute", none, []string{"mute.shop.svc.cluster.local.", "mute."}, true},
		// What became of the name as it is, if that came first, is what is told.
		{"a.b.c.d.e.f", cannot, append([]string{"a.b.c.d.e.f."}, all("a.b.c.d.e.f")[:3]...), false},
		// The hosts file has no absolute names.
		{"db.", none, []string{"db."}, true},
		{"a..b", none, nil, true},
		{"", none, nil, true},
	} {
		_, err := r.LookupHost(t.Context(), tt.host)
		var failure *net.DNSError
		require.ErrorAs(t, err, &failure, tt.host)
		require.Equal(t, tt.want, failure.Err, tt.host)
		require.Equal(t, tt.host, failure.Name)
		require.Equal(t, tt.notFound, failure.IsNotFound, tt.host)
		require.Equal(t, tt.asked, s.take(), tt.host)
	}
	_, err := r.LookupHost(t.Context(), "wbe")
	require.EqualError(t, err, "lookup wbe on 10.96.0.10:53: no such host")
}

// TestNameServersTakeTurns: which servers are asked how often, in which order.
func TestNameServersTakeTurns(t *testing.T) {
	const a, b = "10.0.0.1", "10.0.0.2"
	conf := "nameserver " + a + "\nnameserver " + b + "\noptions timeout:1 "
	for name, tt := range map[string]struct {
		options       string
		first, second string // what the servers say to the question for web.
		want          string // an address, or the error.
		asked         []int  // how often they were asked.
	}{
		"the first answers":               {"", "10.0.0.9", "10.0.0.8", "10.0.0.9", []int{1, 0}},
		"the first does not know":         {"", "", "10.0.0.8", "lookup web on 10.0.0.1:53: no such host", []int{1, 0}},
		"the first fails":                 {"", "SERVFAIL", "10.0.0.8", "10.0.0.8", []int{1, 1}},
		"the first refuses":               {"", "REFUSED", "10.0.0.8", "10.0.0.8", []int{1, 1}},
		"the first is silent":             {"", "MUTE", "10.0.0.8", "10.0.0.8", []int{1, 1}},
		"both fail":                       {"", "SERVFAIL", "SERVFAIL", "lookup web on 10.0.0.2:53: server misbehaving", []int{2, 2}},
		"both fail three times":           {"attempts:3", "SERVFAIL", "SERVFAIL", "lookup web on 10.0.0.2:53: server misbehaving", []int{3, 3}},
		"silent, and not asked again":     {"attempts:1", "MUTE", "MUTE", "i/o timeout", []int{1, 1}},
		"no attempts":                     {"attempts:0", "10.0.0.9", "10.0.0.9", "lookup web: no name server was asked", []int{0, 0}},
		"the first is nobody":             {"", "NOBODY", "10.0.0.8", "10.0.0.8", []int{0, 1}},
		"both are nobody":                 {"", "NOBODY", "NOBODY", "connection refused", []int{0, 0}},
		"a cut answer comes over TCP":     {"", "TRUNCATED 10.0.0.9", "", "10.0.0.9", []int{2, 0}},
		"one server failed, one does not": {"", "SERVFAIL", "", "lookup web on 10.0.0.2:53: no such host", []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := &nameServer{names: map[string]string{"web.": tt.first}}
			second := &nameServer{names: map[string]string{"web.": tt.second}}
			servers := map[string]*nameServer{a: first, b: second}
			for address, s := range servers {
				if s.names["web."] == "NOBODY" {
					delete(servers, address)
				}
			}
			got, err := testResolver(t, conf+tt.options+"\n", servers).LookupHost(t.Context(), "web")
			if err != nil {
				require.ErrorContains(t, err, tt.want)
			} else {
				require.Equal(t, []string{tt.want}, got)
			}
			asked := []int{len(first.take()), len(second.take())}
			require.Equal(t, tt.asked, asked)
		})
	}
}

func TestTimeoutIsTold(t *testing.T) {
	t.Parallel()
	s := &nameServer{names: map[string]string{"web.": "MUTE"}}
	r := testResolver(t, "nameserver 10.0.0.1\noptions timeout:1 attempts:1\n", map[string]*nameServer{"10.0.0.1": s})
	_, err := r.LookupHost(t.Context(), "web")
	var failure *net.DNSError
	require.ErrorAs(t, err, &failure)
	require.True(t, failure.IsTimeout)
	require.True(t, failure.IsTemporary)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.LookupHost(ctx, "web")
	require.Error(t, err, "a context that has ended")
}

func TestRefusedEndsTheSearch(t *testing.T) {
	r := testResolver(t, podConf, nil)
	_, err := r.LookupHost(t.Context(), "web")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "connection refused")
}

func TestOptionsOfQuestions(t *testing.T) {
	for options, want := range map[string][]string{
		"":               {"udp A", "udp AAAA"},
		"single-request": {"udp A", "udp AAAA"},
		"use-vc":         {"tcp A", "tcp AAAA"},
		"no-aaaa":        {"udp A"},
	} {
		s := &nameServer{names: map[string]string{"web.": "10.0.0.9"}}
		r := testResolver(t, "nameserver 10.0.0.1\noptions "+options+"\n", map[string]*nameServer{"10.0.0.1": s})
		got, err := r.LookupHost(t.Context(), "web")
		require.NoError(t, err)
		require.Equal(t, []string{"10.0.0.9"}, got)
		s.mu.Lock()
		slices.Sort(s.wires) // they are asked at once.
		require.Equal(t, want, s.wires, options)
		s.mu.Unlock()
	}
}

func TestRotate(t *testing.T) {
	first, second := &nameServer{names: map[string]string{"web.": "10.0.0.9"}}, &nameServer{names: map[string]string{"web.": "10.0.0.9"}}
	r := testResolver(t, "nameserver 10.0.0.1\nnameserver 10.0.0.2\noptions rotate\n", map[string]*nameServer{"10.0.0.1": first, "10.0.0.2": second})
	for range 4 {
		_, err := r.LookupHost(t.Context(), "web")
		require.NoError(t, err)
	}
	require.Len(t, first.take(), 2)
	require.Len(t, second.take(), 2)
}

func TestResolvConfIsReadAgain(t *testing.T) {
	s := &nameServer{names: map[string]string{"web.a.": "10.0.0.1", "web.b.": "10.0.0.2"}}
	r := testResolver(t, "search a\nnameserver 10.0.0.53\n", map[string]*nameServer{"10.0.0.53": s})
	got, err := r.LookupHost(t.Context(), "web")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1"}, got)
	require.NoError(t, os.WriteFile(r.ResolvConf, []byte("search b\nnameserver 192.0.2.1\nnameserver 10.0.0.53\n"), 0o600))
	got, err = r.LookupHost(t.Context(), "web")
	require.NoError(t, err, "the second server is asked when the first refuses")
	require.Equal(t, []string{"10.0.0.2"}, got)
}
