package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/egress"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// zone is the cluster's DNS behind a node's egress socket, and whatever else lives there greets with its address.
type zone struct {
	records map[string]string
	mu      sync.Mutex
	asked   []string
}

func (z *zone) serve(t *testing.T, c *spec.Cluster, node string) {
	t.Helper()
	l, err := net.Listen("unix", c.EgressSocket(node))
	require.NoError(t, err)
	serveEach(t, l, func(conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		if !strings.HasSuffix(req.Host, ":53") {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%s\n", req.Host)
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
		z.answer(&dns.Conn{Conn: struct{ net.Conn }{conn}})
	})
}

func (z *zone) answer(conn *dns.Conn) {
	for {
		query, err := conn.ReadMsg()
		if err != nil {
			return
		}
		q := query.Question[0]
		reply := new(dns.Msg).SetReply(query)
		address, known := z.records[q.Name]
		if q.Qtype == dns.TypeA {
			z.mu.Lock()
			z.asked = append(z.asked, q.Name)
			z.mu.Unlock()
			if known {
				reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.ParseIP(address)}}
			}
		}
		if !known {
			reply.Rcode = dns.RcodeNameError
		}
		if conn.WriteMsg(reply) != nil {
			return
		}
	}
}

func newZone(t *testing.T, records map[string]string) (*zone, *egress.NamedDialer) {
	t.Helper()
	c := newCluster(t)
	c.Network.DNS, c.Network.Domain = netip.MustParseAddr("10.96.0.10"), "cluster.local"
	z := &zone{records: records}
	z.serve(t, c, "node-1")
	z.serve(t, c, "node-2")
	return z, egress.NewNamedDialer(egress.NewDialer(c), "chaos-mesh")
}

func TestNamesAreThoseOfThePodsNamespace(t *testing.T) {
	z, d := newZone(t, map[string]string{
		"web.shop.svc.cluster.local.": "10.96.3.4", "own.chaos-mesh.svc.cluster.local.": "10.96.3.5", "example.org.": "10.244.1.9",
	})
	for _, tc := range []struct{ address, want string }{
		{"web.shop:80", "10.96.3.4:80"},
		{"web.shop.svc:80", "10.96.3.4:80"},
		{"web.shop.svc.cluster.local:80", "10.96.3.4:80"},
		{"web.shop.svc.cluster.local.:8080", "10.96.3.4:8080"},
		{"own:80", "10.96.3.5:80"},
		{"example.org:80", "10.244.1.9:80"},
		{"10.244.2.7:8080", "10.244.2.7:8080"},
	} {
		t.Run(tc.address, func(t *testing.T) {
			conn, err := d.DialContext(t.Context(), "tcp", tc.address)
			require.NoError(t, err)
			defer conn.Close()
			greeting, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, tc.want+"\n", greeting)
		})
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	require.Equal(t, []string{"web.shop.chaos-mesh.svc.cluster.local.", "web.shop.svc.cluster.local."}, z.asked[:2])
	require.NotContains(t, z.asked, "web.shop.svc.cluster.local.svc.cluster.local.cluster.local.")
}

func TestNamesThatLeadNowhere(t *testing.T) {
	_, d := newZone(t, nil)
	_, err := d.DialContext(t.Context(), "tcp", "nowhere.shop:80")
	require.EqualError(t, err, "dial tcp: lookup nowhere.shop: no such host")
	for _, address := range []string{"127.0.0.1:6443", "[::1]:80", "[::ffff:127.0.0.1]:80"} {
		_, err = d.DialContext(t.Context(), "tcp", address)
		require.ErrorIs(t, err, syscall.ECONNREFUSED, address)
	}
	_, err = d.DialContext(t.Context(), "tcp", "no port")
	require.ErrorContains(t, err, "missing port")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.DialContext(ctx, "tcp", "web.shop:80")
	require.Error(t, err)
}
