package network

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"
)

// shifted is a clock that a test sets forward; what waits for it does not notice.
type shifted struct {
	clock.RealClock
	by atomic.Int64
}

func (c *shifted) Now() time.Time       { return c.RealClock.Now().Add(time.Duration(c.by.Load())) }
func (c *shifted) step(d time.Duration) { c.by.Add(int64(d)) }

// entries counts what has not expired.
func (n *Network) entries() int {
	n.conntrack.sweep()
	return n.Conntrack().Entries
}

// TestConntrackTableFull: new connections of every kind are dropped, those that are open go on, and room comes back when one is closed.
func TestConntrackTableFull(t *testing.T) {
	var said atomic.Int32
	n := testNetwork(t, func(c *Config) { c.ConntrackMax, c.KernelLog = 3, func(string) { said.Add(1) } })
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	client := container(t, a)
	var open []net.Conn
	for range 3 {
		conn, err := client.DialContext(testContext(t), "tcp", "10.244.1.3:7")
		require.NoError(t, err)
		defer conn.Close()
		pingPong(t, conn)
		open = append(open, conn)
	}
	require.Equal(t, Conntrack{Entries: 3, Max: 3}, n.Conntrack())
	lost(t, client, "10.244.1.3:7", "the table is full")
	lost(t, n.Host(), "10.244.1.3:7", "the node's own count as well")
	require.Positive(t, n.Conntrack().Dropped)
	require.Equal(t, int32(1), said.Load(), "the message is limited in rate")
	pingPong(t, open[0])
	require.NoError(t, open[1].Close())
	reaches(t, client, "10.244.1.3:7", "what is closing gives way, at the latest to a SYN that is sent again")
	n.SetConntrackMax(10)
	for range 5 {
		conn, err := client.DialContext(testContext(t), "tcp", "10.244.1.3:7")
		require.NoError(t, err)
		defer conn.Close()
	}
}

// TestConntrackForgets: half-open connections give way when the table is full, closed ones expire, and a pod takes its own with it.
func TestConntrackForgets(t *testing.T) {
	clock := &shifted{}
	n := testNetwork(t, func(c *Config) { c.ConntrackMax, c.Clock = 2, clock })
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	client := container(t, a)
	udp, err := client.ListenPacket(t.Context(), "udp", ":0")
	require.NoError(t, err)
	defer udp.Close()
	for port := range 5 {
		_, err = udp.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 244, 1, 3), Port: 1000 + port})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return n.Conntrack().Entries == 2 }, 5*time.Second, time.Millisecond)
	reaches(t, client, "10.244.1.3:7", "unanswered ones are evicted")
	require.Zero(t, n.Conntrack().Dropped)
	require.Equal(t, 2, n.Conntrack().Entries)
	require.Eventually(t, func() bool { // Again until both ends have closed.
		clock.step(timeWaitTimeout + time.Second)
		return n.entries() == 0
	}, 5*time.Second, time.Millisecond)
	conn, err := client.DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	defer conn.Close()
	pingPong(t, conn)
	require.Eventually(t, func() bool { // A late packet of the first connection may have made an entry again.
		clock.step(timeWaitTimeout + time.Second)
		return n.entries() == 1
	}, 5*time.Second, 10*time.Millisecond)
	clock.step(time.Hour)
	require.Equal(t, 1, n.entries(), "an established connection stays")
	require.NoError(t, n.RemovePod("a"))
	require.Zero(t, n.Conntrack().Entries)
}

func TestConntrackFollowsAConnection(t *testing.T) {
	clock := &shifted{}
	n := testNetwork(t, func(c *Config) { c.Clock = clock })
	out := flow{src: [4]byte{10, 0, 0, 1}, dst: [4]byte{10, 0, 0, 2}, srcPort: 4000, dstPort: 80, proto: 6}
	back := flow{src: out.dst, dst: out.src, srcPort: 80, dstPort: 4000, proto: 6}
	const fin, syn, rst, ack = 1, 2, 4, 16
	steps := func(packets ...any) {
		for i := 0; i < len(packets); i += 2 {
			f := packets[i].(flow)
			f.flags = uint8(packets[i+1].(int))
			require.True(t, n.conntrack.admits(&f, n.policies.Load()))
		}
	}
	lives := func(d time.Duration) {
		t.Helper()
		clock.step(d - 5*time.Second)
		require.Equal(t, 1, n.entries())
		clock.step(6 * time.Second)
		require.Zero(t, n.entries())
	}
	steps(out, syn)
	lives(synTimeout)
	steps(out, syn, back, syn|ack, out, ack)
	lives(establishedTimeout)
	steps(out, syn, back, syn|ack, out, ack, out, fin|ack, back, ack)
	lives(closeWaitTimeout)
	steps(out, syn, back, syn|ack, out, ack, out, fin|ack, back, fin|ack, out, ack)
	lives(timeWaitTimeout)
	steps(out, syn, back, rst|ack)
	lives(closedTimeout)
	steps(out, syn, back, syn|ack, out, ack, out, fin|ack, back, fin|ack, out, syn, back, syn|ack, out, ack)
	lives(establishedTimeout)
	steps(back, rst, back, fin|ack, back, syn|ack)
	require.Zero(t, n.Conntrack().Entries, "stray packets make no entry")
}
