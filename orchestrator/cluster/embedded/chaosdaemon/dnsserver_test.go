package chaosdaemon

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	dnspb "github.com/chaos-mesh/k8s_dns_chaos/pb"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// listenDNS returns a UDP socket on loopback and its address.
func listenDNS(t *testing.T) (net.PacketConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	return conn, netip.MustParseAddrPort(conn.LocalAddr().String())
}

func TestDNSChaos(t *testing.T) {
	t.Parallel()
	upstream, upstreamAddr := listenDNS(t)
	good := net.IPv4(10, 96, 1, 2).To4()
	server := &dns.Server{PacketConn: upstream, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		reply := new(dns.Msg).SetReply(r)
		reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: good}}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = upstream.Close() })

	n := newNode()
	var here netip.AddrPort
	n.packets, here = listenDNS(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := Config{Network: n, Runtime: n, DNS: DNS{Listen: here, Upstream: upstreamAddr}, Log: slog.New(slog.DiscardHandler)}
	client := dnspb.NewDNSClient(connect(t, cfg, listener, grpc.WithTransportCredentials(insecure.NewCredentials())))

	ask := func(name string, qtype uint16) *dns.Msg {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, qtype), here.String())
		require.NoError(t, err)
		return reply
	}
	address := func(name string) net.IP {
		reply := ask(name, dns.TypeA)
		require.Len(t, reply.Answer, 1)
		return reply.Answer[0].(*dns.A).A.To4()
	}
	pods := []*dnspb.Pod{{Namespace: "hotel", Name: "geo"}}
	require.Equal(t, good, address("geo.hotel.svc.cluster.local."))

	resp, err := client.SetDNSChaos(t.Context(), &dnspb.SetDNSChaosRequest{
		Name: "n1", Action: "random", Pods: pods, Patterns: []string{"google.com", "chaos-mesh.*", "github.?om"},
	})
	require.NoError(t, err)
	require.True(t, resp.GetResult())
	for _, name := range []string{"google.com.", "Google.com.", "chaos-mesh.org.", "github.com.", "github.yom."} {
		require.NotEqual(t, good, address(name), name)
	}
	for _, name := range []string{"www.google.com.", "geo.hotel.svc.cluster.local.", "github.comm.", "google.com.hotel.svc.cluster.local."} {
		require.Equal(t, good, address(name), name)
	}
	require.Equal(t, dns.RcodeServerFailure, ask("google.com.", dns.TypeSRV).Rcode)
	require.Len(t, ask("google.com.", dns.TypeAAAA).Answer, 1)

	_, err = client.SetDNSChaos(t.Context(), &dnspb.SetDNSChaosRequest{Name: "n2", Action: "error", Pods: pods})
	require.NoError(t, err)
	require.Equal(t, dns.RcodeServerFailure, ask("anything.", dns.TypeA).Rcode)
	_, err = client.CancelDNSChaos(t.Context(), &dnspb.CancelDNSChaosRequest{Name: "n1"})
	require.NoError(t, err)
	require.Equal(t, dns.RcodeServerFailure, ask("anything.", dns.TypeA).Rcode, "the last rule of a pod counts")
	_, err = client.CancelDNSChaos(t.Context(), &dnspb.CancelDNSChaosRequest{Name: "n2"})
	require.NoError(t, err)
	require.Equal(t, good, address("google.com."))

	for _, req := range []*dnspb.SetDNSChaosRequest{
		{Action: "drop", Pods: pods},
		{Action: "error", Pods: pods, Patterns: []string{"*.com"}},
		{Action: "error", Pods: []*dnspb.Pod{{Namespace: "hotel", Name: "gone"}}},
	} {
		_, err = client.SetDNSChaos(t.Context(), req)
		require.Error(t, err, req.String())
	}
}

// TestMutualTLS uses the certificates that the cluster's parent makes, in the way in which Chaos Mesh's controllers do.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := TLS{CA: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, "chaos.crt"), Key: filepath.Join(dir, "chaos.key")}
	writeTestPKI(t, dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := newNode()
	cfg := Config{Network: n, Runtime: n, TLS: files, Log: slog.New(slog.DiscardHandler)}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	require.NoError(t, err)
	ca, err := os.ReadFile(files.CA)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	with := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "chaos-daemon.chaos-mesh.org", MinVersion: tls.VersionTLS13}
	client := pb.NewChaosDaemonClient(connect(t, cfg, listener, grpc.WithTransportCredentials(credentials.NewTLS(with))))
	_, err = client.SetTcs(t.Context(), &pb.TcsRequest{ContainerId: c1})
	require.NoError(t, err)

	without := with.Clone()
	without.Certificates = nil
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(without)))
	require.NoError(t, err)
	defer conn.Close()
	_, err = pb.NewChaosDaemonClient(conn).SetTcs(t.Context(), &pb.TcsRequest{ContainerId: c1})
	require.Error(t, err, "nobody but the controllers may command a daemon")
}
