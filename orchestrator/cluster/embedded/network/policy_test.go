package network

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// short is how long a test waits for what must not come.
const short = 60 * time.Millisecond

type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// reaches requires that a TCP connection can be made.
func reaches(t testing.TB, c dialer, address, what string) {
	t.Helper()
	conn, err := c.DialContext(testContext(t), "tcp", address)
	require.NoError(t, err, what)
	require.NoError(t, conn.Close())
}

// lost requires that there is no answer to a TCP connection's first packet.
func lost(t testing.TB, c dialer, address, what string) {
	t.Helper()
	_, err := c.DialContext(contextFor(t, short), "tcp", address)
	require.ErrorContains(t, err, "i/o timeout", what)
}

// reach is reaches or lost.
func reach(t testing.TB, want bool, c dialer, address, what string) {
	t.Helper()
	if want {
		reaches(t, c, address, what)
	} else {
		lost(t, c, address, what)
	}
}

func only(peers ...string) Policy {
	r := PolicyRule{}
	for _, p := range peers {
		r.Peers = append(r.Peers, PolicyPeer{Net: netip.MustParsePrefix(p)})
	}
	return Policy{Isolated: true, Allow: []PolicyRule{r}}
}

func onPorts(ports ...PolicyPort) Policy {
	return Policy{Isolated: true, Allow: []PolicyRule{{AnyPeer: true, Ports: ports}}}
}

func TestPolicies(t *testing.T) {
	n := testNetwork(t, nil)
	a, b, c := addPod(t, n, "a"), addPod(t, n, "b"), addPod(t, n, "c")
	server := container(t, b)
	echo(t, server, ":7")
	echo(t, server, ":80")
	echo(t, container(t, a), ":7")
	clients := map[string]*sandbox.Client{"a": container(t, a), "c": container(t, c)}
	tcp := func(first, last uint16) PolicyPort { return PolicyPort{"TCP", PortRange{first, last}} }
	for _, tt := range []struct {
		name        string
		of          *Pod
		policy      PodPolicy
		a7, a80, c7 bool // who reaches b.
	}{
		{name: "ingress default deny", of: b, policy: PodPolicy{Ingress: Policy{Isolated: true}}},
		{name: "egress default deny", of: a, policy: PodPolicy{Egress: Policy{Isolated: true}}, c7: true},
		{name: "egress of the server alone", of: b, policy: PodPolicy{Egress: Policy{Isolated: true}}, a7: true, a80: true, c7: true},
		{name: "ingress of the client alone", of: a, policy: PodPolicy{Ingress: Policy{Isolated: true}}, a7: true, a80: true, c7: true},
		{name: "one peer", of: b, policy: PodPolicy{Ingress: only("10.244.1.2/32")}, a7: true, a80: true},
		{name: "egress to one peer", of: a, policy: PodPolicy{Egress: only("10.244.1.4/32")}, c7: true},
		{name: "a port", of: b, policy: PodPolicy{Ingress: onPorts(tcp(80, 80))}, a80: true},
		{name: "a range", of: b, policy: PodPolicy{Ingress: onPorts(tcp(50, 80))}, a80: true},
		{name: "another protocol", of: b, policy: PodPolicy{Ingress: onPorts(PolicyPort{"UDP", PortRange{7, 7}}, PolicyPort{"SCTP", PortRange{7, 7}})}},
		{name: "a network", of: b, policy: PodPolicy{Ingress: only("10.244.1.0/30")}, a7: true, a80: true},
		{name: "a network without a part", of: b, policy: PodPolicy{Ingress: Policy{Isolated: true, Allow: []PolicyRule{{Peers: []PolicyPeer{{
			Net: netip.MustParsePrefix("10.244.0.0/16"), Except: []netip.Prefix{netip.MustParsePrefix("10.244.1.2/32")},
		}}}}}}, c7: true},
		{name: "two rules", of: b, policy: PodPolicy{Ingress: Policy{Isolated: true, Allow: []PolicyRule{
			{AnyPeer: true, Ports: []PolicyPort{tcp(80, 80)}}, {Peers: []PolicyPeer{{Net: netip.MustParsePrefix("10.244.1.4/32")}}},
		}}}, a80: true, c7: true},
		{name: "no isolation", of: b, policy: PodPolicy{}, a7: true, a80: true, c7: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.SetPolicies(map[netip.Addr]PodPolicy{tt.of.IP(): tt.policy})
			reach(t, tt.a7, clients["a"], "10.244.1.3:7", "a to 7")
			reach(t, tt.a80, clients["a"], "10.244.1.3:80", "a to 80")
			reach(t, tt.c7, clients["c"], "10.244.1.3:7", "c to 7")
			reaches(t, n.Host(), "10.244.1.3:7", "the node reaches its own pods")
			reaches(t, server, "10.244.1.3:7", "a pod reaches itself")
		})
	}
}

func TestPoliciesJudgeServicesByEndpoint(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":8080")
	n.SetServices([]Service{webService(backend("10.244.1.3:8080", "node-1"))})
	client := container(t, a)
	n.SetPolicies(map[netip.Addr]PodPolicy{a.IP(): {Egress: onPorts(PolicyPort{"TCP", PortRange{80, 80}})}})
	lost(t, client, "10.96.0.20:80", "the Service's port does not count")
	n.SetPolicies(map[netip.Addr]PodPolicy{a.IP(): {Egress: onPorts(PolicyPort{"TCP", PortRange{8080, 8080}})}})
	reaches(t, client, "10.96.0.20:80", "the port of the endpoint")
}

// TestPoliciesCutEstablishedConnections: also those that have long passed the stacks by, and they go on when they are allowed again.
func TestPoliciesCutEstablishedConnections(t *testing.T) {
	for _, nodes := range []string{"one node", "two nodes"} {
		for _, end := range []string{"opener", "other"} {
			t.Run(nodes+", policy at "+end, func(t *testing.T) {
				one, two := twoNodes(t)
				if nodes == "one node" {
					two = one
				}
				p, q := addPod(t, one, "p"), addPod(t, two, "q")
				echo(t, container(t, q), ":7")
				conn, err := container(t, p).DialContext(testContext(t), "tcp", q.IP().String()+":7")
				require.NoError(t, err)
				defer conn.Close()
				at, policy, harmless := one, map[netip.Addr]PodPolicy{p.IP(): {Egress: Policy{Isolated: true}}}, map[netip.Addr]PodPolicy{p.IP(): {Ingress: Policy{Isolated: true}}}
				if end == "other" {
					at, policy, harmless = two, map[netip.Addr]PodPolicy{q.IP(): {Ingress: Policy{Isolated: true}}}, map[netip.Addr]PodPolicy{q.IP(): {Egress: Policy{Isolated: true}}}
				}
				for range 2 {
					warm(t, conn, one, two)
					at.SetPolicies(harmless)
					require.Equal(t, 2, openShortcuts(one, two), "what is allowed is left alone")
					at.SetPolicies(policy)
					require.Zero(t, openShortcuts(one, two))
					_, err = conn.Write([]byte{1})
					require.NoError(t, err)
					require.NoError(t, conn.SetReadDeadline(time.Now().Add(short)))
					_, err = conn.Read(make([]byte, 1))
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					require.NoError(t, conn.SetReadDeadline(time.Time{}))
					at.SetPolicies(nil)
					_, err = io.ReadFull(conn, make([]byte, 1))
					require.NoError(t, err, "retransmitted")
				}
			})
		}
	}
}

func openShortcuts(one, two *Network) int {
	if one == two {
		return one.shortcuts.open()
	}
	return one.shortcuts.open() + two.shortcuts.open()
}

// TestPoliciesAndDatagrams: answers pass, unasked datagrams do not, and a datagram in fragments is judged like any other.
func TestPoliciesAndDatagrams(t *testing.T) {
	one, two := twoNodes(t)
	p, q := addPod(t, one, "p"), addPod(t, two, "q")
	server, err := container(t, q).ListenPacket(t.Context(), "udp", ":53")
	require.NoError(t, err)
	defer server.Close()
	client, err := container(t, p).ListenPacket(t.Context(), "udp", ":5353")
	require.NoError(t, err)
	defer client.Close()
	one.SetPolicies(map[netip.Addr]PodPolicy{p.IP(): {Ingress: Policy{Isolated: true}}})
	receive := func(c net.PacketConn, wait time.Duration) (int, error) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(wait)))
		n, _, err := c.ReadFrom(make([]byte, 8000))
		return n, err
	}
	stranger, err := container(t, q).ListenPacket(t.Context(), "udp", ":54")
	require.NoError(t, err)
	defer stranger.Close()
	_, err = stranger.WriteTo(make([]byte, 10), netUDPAddr(p.IP().String()+":5353"))
	require.NoError(t, err)
	_, err = receive(client, short)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "unasked")
	for _, size := range []int{10, 5000} {
		_, err = client.WriteTo(make([]byte, size), netUDPAddr(q.IP().String()+":53"))
		require.NoError(t, err)
		got, err := receive(server, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, size, got)
		_, err = server.WriteTo(make([]byte, size), netUDPAddr(p.IP().String()+":5353"))
		require.NoError(t, err)
		got, err = receive(client, 5*time.Second)
		require.NoError(t, err, "an answer")
		require.Equal(t, size, got)
	}
	two.SetPolicies(map[netip.Addr]PodPolicy{q.IP(): {Ingress: onPorts(PolicyPort{"UDP", PortRange{54, 54}})}})
	_, err = client.WriteTo(make([]byte, 5000), netUDPAddr(q.IP().String()+":53"))
	require.NoError(t, err)
	_, err = receive(server, short)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// TestUnreachablePortIsToldThroughPolicies: the error about a datagram comes back to a pod that nobody may connect to.
func TestUnreachablePortIsToldThroughPolicies(t *testing.T) {
	n := testNetwork(t, nil)
	p, q := addPod(t, n, "p"), addPod(t, n, "q")
	n.SetPolicies(map[netip.Addr]PodPolicy{p.IP(): {Ingress: Policy{Isolated: true}}})
	conn, err := container(t, p).DialContext(testContext(t), "udp", q.IP().String()+":9")
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorContains(t, err, "connection refused")
}
