package network

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// neighbours are two nodes of which the first is as change says.
func neighbours(t *testing.T, change func(*Config)) (one, two *Network) {
	dir := t.TempDir()
	peers := []Peer{
		{Name: "node-1", NodeIP: netip.MustParseAddr("172.18.0.11"), PodCIDR: netip.MustParsePrefix("10.244.1.0/24"), WireSocket: dir + "/1.wire"},
		{Name: "node-2", NodeIP: netip.MustParseAddr("172.18.0.12"), PodCIDR: netip.MustParsePrefix("10.244.2.0/24"), WireSocket: dir + "/2.wire"},
	}
	node := func(own, other Peer, change func(*Config)) *Network {
		return testNetwork(t, func(c *Config) {
			c.NodeName, c.NodeIP, c.PodCIDR, c.WireSocket = own.Name, own.NodeIP, own.PodCIDR, own.WireSocket
			c.Peers = []Peer{other}
			change(c)
		})
	}
	return node(peers[0], peers[1], change), node(peers[1], peers[0], func(*Config) {})
}

// arrives says whether a datagram that makes a packet of this size gets from one pod to the other.
func arrives(t *testing.T, from, to *Pod, size int) bool {
	t.Helper()
	server, err := to.ListenPacket("udp", ":53")
	require.NoError(t, err)
	defer server.Close()
	client, err := from.ListenPacket("udp", ":0")
	require.NoError(t, err)
	defer client.Close()
	const headers = 28
	for _, payload := range []int{size - headers, 1} { // the small one tells that the large one has been before it, or is lost.
		_, err = client.WriteTo(make([]byte, payload), netUDPAddr(to.IP().String()+":53"))
		require.NoError(t, err)
	}
	require.NoError(t, server.SetReadDeadline(time.Now().Add(5*time.Second)))
	n, _, err := server.ReadFrom(make([]byte, size))
	require.NoError(t, err)
	return n == size-headers
}

// TestNarrowUplink: between nodes what is too large is lost without a word: a connection is made, small messages pass, and large ones never
// arrive. Within the node everything does.
func TestNarrowUplink(t *testing.T) {
	one, two := neighbours(t, func(c *Config) { c.UplinkMTU = 1400 })
	p, q, near := addPod(t, one, "p"), addPod(t, two, "q"), addPod(t, one, "near")
	dialled, accepted := connected(t, p, q) // so that the wire is up.
	for _, way := range [][2]*Pod{{p, q}, {q, p}} {
		require.True(t, arrives(t, way[0], way[1], 1400))
		require.False(t, arrives(t, way[0], way[1], 1401))
	}
	require.True(t, arrives(t, p, near, 1500))
	large := func(from, to net.Conn) error {
		_, err := from.Write(make([]byte, 20_000))
		require.NoError(t, err)
		require.NoError(t, to.SetReadDeadline(time.Now().Add(short)))
		_, err = io.ReadFull(to, make([]byte, 20_000))
		return err
	}
	for range 40 {
		_, err := dialled.Write([]byte{1})
		require.NoError(t, err)
		_, err = io.ReadFull(accepted, make([]byte, 1))
		require.NoError(t, err)
	}
	require.Zero(t, openShortcuts(one, two))
	require.ErrorIs(t, large(dialled, accepted), os.ErrDeadlineExceeded)
	require.ErrorIs(t, large(accepted, dialled), os.ErrDeadlineExceeded)
	dialled, accepted = connected(t, p, near)
	require.NoError(t, large(dialled, accepted))
}

// TestDifferentMTUs: connections agree on what both ends can take, and datagrams that are too large for the other node are lost.
func TestDifferentMTUs(t *testing.T) {
	one, two := neighbours(t, func(c *Config) { c.MTU = 1400 })
	p, q := addPod(t, one, "p"), addPod(t, two, "q")
	require.Equal(t, 1400, p.MTU())
	require.Equal(t, 1500, q.MTU())
	for _, way := range [][2]*Pod{{p, q}, {q, p}} {
		dialled, accepted := connected(t, way[0], way[1])
		go func() { _, _ = dialled.Write(make([]byte, 100_000)) }()
		require.NoError(t, accepted.SetReadDeadline(time.Now().Add(5*time.Second)))
		_, err := io.ReadFull(accepted, make([]byte, 100_000))
		require.NoError(t, err)
	}
	require.True(t, arrives(t, q, p, 1400))
	require.False(t, arrives(t, q, p, 1401))
	require.True(t, arrives(t, p, q, 1401), "its own node cuts it")
}
