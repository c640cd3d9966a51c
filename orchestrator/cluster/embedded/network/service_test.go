package network

import (
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

func backend(addr, node string) Endpoint {
	return Endpoint{Addr: netip.MustParseAddrPort(addr), Node: node, Ready: true}
}

func webService(endpoints ...Endpoint) Service {
	return Service{
		Name: "shop/web", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.20")},
		Ports: []ServicePort{{Protocol: "TCP", Port: 80, NodePort: 30080, Endpoints: endpoints}},
	}
}

func TestServiceSpreadsConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b, c := addPod(t, n, "a"), addPod(t, n, "b"), addPod(t, n, "c")
	serve(t, container(t, b), ":8080", "b")
	serve(t, container(t, c), ":8080", "c")
	client := httpClient(t, container(t, a))
	n.SetServices([]Service{webService(backend("10.244.1.3:8080", "node-1"), backend("10.244.1.4:8080", "node-1"))})
	count := func(url string) map[string]int {
		out := map[string]int{}
		for range 40 {
			out[strings.Fields(get(t, client, url))[0]]++
			client.CloseIdleConnections()
		}
		return out
	}
	require.Len(t, count("http://10.96.0.20/"), 2)
	require.Len(t, count("http://172.18.0.11:30080/"), 2)
	sticky := webService(backend("10.244.1.3:8080", "node-1"), backend("10.244.1.4:8080", "node-1"))
	sticky.Affinity = time.Hour
	n.SetServices([]Service{sticky})
	require.Len(t, count("http://10.96.0.20/"), 1)
}

func TestServiceWithoutEndpointsRefuses(t *testing.T) {
	n := testNetwork(t, nil)
	c := container(t, addPod(t, n, "a"))
	svc := webService()
	svc.Ports = append(svc.Ports, ServicePort{Protocol: "UDP", Port: 53})
	n.SetServices([]Service{svc})
	_, err := c.DialContext(testContext(t), "tcp", "10.96.0.20:80")
	require.EqualError(t, err, "dial tcp 10.96.0.20:80: connect: connection refused")
	conn, err := c.DialContext(testContext(t), "udp", "10.96.0.20:53")
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestConnectionStaysOnItsEndpoint(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":8080")
	n.SetServices([]Service{webService(backend("10.244.1.3:8080", "node-1"))})
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.96.0.20:80")
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, "10.96.0.20:80", conn.RemoteAddr().String())
	n.SetServices(nil)
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
}

func TestUDPServiceOnUnconnectedSocket(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	server, err := container(t, b).ListenPacket(t.Context(), "udp", ":5353")
	require.NoError(t, err)
	defer server.Close()
	n.SetServices([]Service{{
		Name: "kube-system/kube-dns", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
		Ports: []ServicePort{{Protocol: "UDP", Port: 53, Endpoints: []Endpoint{backend("10.244.1.3:5353", "node-1")}}},
	}})
	client, err := container(t, a).ListenPacket(t.Context(), "udp", ":0")
	require.NoError(t, err)
	defer client.Close()
	to := netUDPAddr("10.96.0.10:53")
	_, err = client.WriteTo([]byte("question"), to)
	require.NoError(t, err)
	buf := make([]byte, 64)
	k, from, err := server.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "question", string(buf[:k]))
	_, err = server.WriteTo([]byte("answer"), from)
	require.NoError(t, err)
	k, from, err = client.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "answer", string(buf[:k]))
	require.Equal(t, to.String(), from.String()) // the answer comes from where the question went.
}

func TestUsableEndpoints(t *testing.T) {
	ready := backend("10.244.1.2:80", "node-1")
	remote := backend("10.244.2.2:80", "node-2")
	leaving := Endpoint{Addr: netip.MustParseAddrPort("10.244.1.3:80"), Node: "node-1", Serving: true, Terminating: true}
	broken := Endpoint{Addr: netip.MustParseAddrPort("10.244.1.4:80"), Node: "node-1"}
	for _, tt := range []struct {
		name  string
		all   []Endpoint
		local bool
		want  []netip.AddrPort
	}{
		{"ready ones only", []Endpoint{ready, remote, leaving, broken}, false, []netip.AddrPort{ready.Addr, remote.Addr}},
		{"terminating ones when none is ready", []Endpoint{leaving, broken}, false, []netip.AddrPort{leaving.Addr}},
		{"local ones only", []Endpoint{ready, remote}, true, []netip.AddrPort{ready.Addr}},
		{"no local one", []Endpoint{remote}, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, usable(tt.all, tt.local, "node-1")) })
	}
}

func TestAffinityExpiresAndFollowsEndpoints(t *testing.T) {
	n := testNetwork(t, nil)
	client, to := netip.MustParseAddr("10.244.1.9"), netip.MustParseAddrPort("10.96.0.20:80")
	svc := webService(backend("10.244.1.3:80", "node-1"), backend("10.244.1.4:80", "node-1"))
	svc.Affinity = time.Hour
	n.SetServices([]Service{svc})
	first, ok := n.services.translate(tcp.ProtocolNumber, client, to)
	require.True(t, ok)
	for range 20 {
		again, _ := n.services.translate(tcp.ProtocolNumber, client, to)
		require.Equal(t, first, again)
	}
	other := "10.244.1.3:80"
	if first.String() == other {
		other = "10.244.1.4:80"
	}
	svc.Ports[0].Endpoints = []Endpoint{backend(other, "node-1")}
	n.SetServices([]Service{svc})
	moved, _ := n.services.translate(tcp.ProtocolNumber, client, to)
	require.Equal(t, other, moved.String())
}

// twoNodes makes two networks with a wire between them.
func twoNodes(t testing.TB) (*Network, *Network) {
	dir := t.TempDir()
	peer := func(i string) Peer {
		return Peer{
			Name: "node-" + i, NodeIP: netip.MustParseAddr("172.18.0.1" + i), PodCIDR: netip.MustParsePrefix("10.244." + i + ".0/24"),
			WireSocket: filepath.Join(dir, i+".wire"),
		}
	}
	node := func(own, other Peer) *Network {
		return testNetwork(t, func(c *Config) {
			c.NodeName, c.NodeIP, c.PodCIDR, c.WireSocket = own.Name, own.NodeIP, own.PodCIDR, own.WireSocket
			c.Peers, c.Clock = []Peer{other}, hurried{}
		})
	}
	return node(peer("1"), peer("2")), node(peer("2"), peer("1"))
}

func TestWire(t *testing.T) {
	one, two := twoNodes(t)
	a, b := addPod(t, one, "a"), addPod(t, two, "b")
	require.Equal(t, "10.244.2.2", b.IP().String())
	serve(t, container(t, b), ":80", "b")
	ca := container(t, a)
	client := httpClient(t, ca)
	require.Equal(t, "b for 10.244.1.2", get(t, client, "http://10.244.2.2/"))
	_, err := ca.DialContext(testContext(t), "tcp", "10.244.2.2:81")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = ca.DialContext(testContext(t), "tcp", "10.244.2.77:80")
	require.ErrorIs(t, err, syscall.EHOSTUNREACH)
	serve(t, container(t, hostPod(t, two)), ":9100", "node")
	require.Equal(t, "node for 10.244.1.2", get(t, client, "http://172.18.0.12:9100/"))
	// A NodePort of the other node is served as well.
	one.SetServices([]Service{webService(backend("10.244.2.2:80", "node-2"))})
	require.Equal(t, "b for 10.244.1.2", get(t, client, "http://172.18.0.12:30080/"))
	client.CloseIdleConnections()
	// A node that has died takes packets no more.
	require.NoError(t, two.Close())
	_, err = ca.DialContext(contextFor(t, 100*time.Millisecond), "tcp", "10.244.2.2:80")
	require.ErrorContains(t, err, "i/o timeout")
}
