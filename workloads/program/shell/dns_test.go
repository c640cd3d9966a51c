package shell_test

import (
	"net"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// zone serves the records of a small cluster, and cuts long answers over UDP.
func zone(t *testing.T) string {
	t.Helper()
	records := map[string][]string{}
	for _, text := range []string{
		"web.hotel.svc.cluster.local. 30 IN A 10.96.0.20", "out.hotel.svc.cluster.local. 30 IN CNAME example.com.", "example.com. 30 IN A 192.0.2.1",
		"_http._tcp.web.hotel.svc.cluster.local. 30 IN SRV 0 100 80 web.hotel.svc.cluster.local.", "20.0.96.10.in-addr.arpa. 30 IN PTR web.hotel.svc.cluster.local.",
		"dns-version.cluster.local. 28800 IN TXT \"1.1.0\"", "long.hotel.svc.cluster.local. 30 IN A 10.0.0.77",
	} {
		rr, err := dns.NewRR(text)
		require.NoError(t, err)
		records[rr.Header().Name] = append(records[rr.Header().Name], text)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		q := r.Question[0]
		m.Truncated = q.Name == "long.hotel.svc.cluster.local." && w.LocalAddr().Network() == "udp"
		if q.Name == "broken." {
			m.Rcode = dns.RcodeServerFailure
		} else if len(records[q.Name]) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		for name := q.Name; name != "" && !m.Truncated; {
			target := ""
			for _, text := range records[name] {
				rr, _ := dns.NewRR(text)
				if alias, ok := rr.(*dns.CNAME); ok {
					target = alias.Target
				} else if rr.Header().Rrtype != q.Qtype {
					continue
				}
				m.Answer = append(m.Answer, rr)
			}
			name = target
		}
		_ = w.WriteMsg(m)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := net.ListenPacket("udp", l.Addr().String())
	require.NoError(t, err)
	for _, srv := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: p, Handler: handler}} {
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

func TestNameTools(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sys.Net = fakeNet{hosts: map[string]string{"10.96.0.10": zone(t)}}
	const head = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"
	for _, tt := range []struct {
		argv []string
		want string
		code int
	}{
		{[]string{"nslookup", "web"}, head + "Name:\tweb.hotel.svc.cluster.local\nAddress: 10.96.0.20\n", 0},
		{[]string{"nslookup", "out"}, head + "out.hotel.svc.cluster.local\tcanonical name = example.com.\nName:\texample.com\nAddress: 192.0.2.1\n", 0},
		{[]string{"nslookup", "10.96.0.20"}, head + "20.0.96.10.in-addr.arpa\tname = web.hotel.svc.cluster.local.\n", 0},
		{[]string{"nslookup", "-type=SRV", "_http._tcp.web"}, head + "_http._tcp.web.hotel.svc.cluster.local\tservice = 0 100 80 web.hotel.svc.cluster.local.\n", 0},
		{[]string{"nslookup", "-type=txt", "dns-version.cluster.local."}, head + "dns-version.cluster.local\ttext = \"1.1.0\"\n", 0},
		{[]string{"nslookup", "-type=SRV", "web.hotel.svc.cluster.local."}, head + "*** Can't find web.hotel.svc.cluster.local.: No answer\n", 1},
		{[]string{"nslookup", "wbe"}, head + "** server can't find wbe: NXDOMAIN\n", 1},
		{[]string{"nslookup", "broken."}, head + "** server can't find broken.: SERVFAIL\n", 1},
		{[]string{"nslookup", "-timeout=1", "-retry=1", "web", "192.0.2.250"}, ";; connection timed out; no servers could be reached\n", 1},
		{[]string{"dig", "+short", "web.hotel.svc.cluster.local"}, "10.96.0.20\n", 0},
		{[]string{"dig", "+short", "web"}, "", 0},
		{[]string{"dig", "+short", "+search", "web"}, "10.96.0.20\n", 0},
		{[]string{"dig", "+short", "-x", "10.96.0.20"}, "web.hotel.svc.cluster.local.\n", 0},
		{[]string{"dig", "+noall", "+answer", "-t", "SRV", "_http._tcp.web.hotel.svc.cluster.local"}, "_http._tcp.web.hotel.svc.cluster.local.\t30\tIN\tSRV\t0 100 80 web.hotel.svc.cluster.local.\n", 0},
		{[]string{"dig", "+noall", "+answer", "nothing", "A"}, "", 0},
		{[]string{"dig", "+short", "long.hotel.svc.cluster.local", "A"}, "10.0.0.77\n", 0},
		{[]string{"dig", "+short", "+tcp", "@10.96.0.10", "out.hotel.svc.cluster.local"}, "example.com.\n192.0.2.1\n", 0},
	} {
		require.Equal(t, tt.code, b.run(t, tt.argv...), tt.argv)
		require.Equal(t, tt.want, b.out.String(), tt.argv)
	}
}
