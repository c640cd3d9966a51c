package network

import (
	"io"
	"math"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// packet makes a TCP packet of so many bytes.
func packet(size int, mss uint16) frame {
	b := make([]byte, size)
	b[0], b[9], b[32] = 0x45, 6, 0x50
	f, _ := parseFlow(b[:20], b[20:])
	return frame{flow: f, mss: mss, pkt: stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})}
}

// testDevice makes a device whose tree the test drives itself.
func testDevice(t *testing.T, qdiscs ...Qdisc) *device {
	n := testNetwork(t, nil)
	d := newDevice(n.host.link, qdiscs, n.route)
	t.Cleanup(d.close)
	return d
}

// drain takes what may leave at a time and returns the class of each.
func drainAt(d *device, now time.Duration) (out []frame) {
	for {
		f, ok := d.root.dequeue(now)
		if !ok {
			return out
		}
		f.release()
		out = append(out, f)
	}
}

func TestNetemDelay(t *testing.T) {
	d := testDevice(t, Qdisc{Netem: &Netem{Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond}})
	for range 500 {
		d.root.enqueue(0, packet(100, 0), -1)
	}
	require.Empty(t, drainAt(d, 40*time.Millisecond-1))
	half := len(drainAt(d, 50*time.Millisecond))
	require.InDelta(t, 250, half, 60)
	require.Len(t, drainAt(d, 60*time.Millisecond), 500-half)
	_, ok := d.root.next()
	require.False(t, ok)
}

func TestNetemLimitIsPackets(t *testing.T) {
	d := testDevice(t, Qdisc{Netem: &Netem{Delay: time.Second, Limit: 10}})
	for range 25 {
		d.root.enqueue(0, packet(100, 0), -1)
	}
	at, ok := d.root.next()
	require.True(t, ok)
	require.Equal(t, time.Second, at)
	require.Len(t, drainAt(d, time.Second), 10)
}

func TestNetemShares(t *testing.T) {
	const packets = 10000
	for _, tt := range []struct {
		name  string
		netem Netem
		want  float64 // of packets that come out whole.
		bad   float64
	}{
		{"loss", Netem{Loss: 25}, 0.75, 0},
		{"all lost", Netem{Loss: 100}, 0, 0},
		{"duplicate", Netem{Duplicate: 40}, 1.4, 0},
		{"all duplicated", Netem{Duplicate: 100}, 2, 0},
		{"corrupt", Netem{Corrupt: 30}, 0.7, 0.3},
		{"duplicate and loss", Netem{Duplicate: 100, Loss: 50}, 1.25, 0}, // one lost event takes the copy away, not the packet.
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := testDevice(t, Qdisc{Netem: &tt.netem})
			good, bad := 0, 0
			for range packets {
				d.root.enqueue(0, packet(100, 0), -1)
				for _, f := range drainAt(d, 0) {
					if f.bad {
						bad++
					} else {
						good++
					}
				}
			}
			require.InDelta(t, tt.want*packets, good, packets*0.03)
			require.InDelta(t, tt.bad*packets, bad, packets*0.03)
		})
	}
}

func TestNetemCorrelationMakesBursts(t *testing.T) {
	runs := func(correlation float64) float64 {
		d := testDevice(t, Qdisc{Netem: &Netem{Loss: 50, LossCorrelation: correlation}})
		lost, changes, last := 0, 0, false
		for range 20000 {
			d.root.enqueue(0, packet(100, 0), -1)
			gone := len(drainAt(d, 0)) == 0
			if gone {
				lost++
			}
			if gone != last {
				changes++
			}
			last = gone
		}
		return float64(lost) / math.Max(1, float64(changes)/2)
	}
	require.Greater(t, runs(90), 2*runs(0))
}

func TestNetemReorder(t *testing.T) {
	d := testDevice(t, Qdisc{Netem: &Netem{Delay: 10 * time.Millisecond, Reorder: 100, Gap: 5}})
	for range 20 {
		d.root.enqueue(0, packet(100, 0), -1)
	}
	require.Len(t, drainAt(d, 0), 4) // every fifth packet overtakes.
	require.Len(t, drainAt(d, 10*time.Millisecond), 16)
	d = testDevice(t, Qdisc{Netem: &Netem{Delay: 10 * time.Millisecond, Reorder: 25}})
	early := 0
	for range 800 {
		d.root.enqueue(0, packet(100, 0), -1)
		early += len(drainAt(d, 0))
	}
	require.InDelta(t, 200, early, 60)
}

func TestNetemRate(t *testing.T) {
	d := testDevice(t, Qdisc{Netem: &Netem{Rate: 100_000}}) // 1000 bytes take 10 ms.
	for range 10 {
		d.root.enqueue(0, packet(986, 0), -1)
	}
	require.Len(t, drainAt(d, 50*time.Millisecond), 5)
	require.Len(t, drainAt(d, 100*time.Millisecond), 5)
}

func TestTBF(t *testing.T) {
	d := testDevice(t, Qdisc{TBF: &TBF{Rate: 100_000, Buffer: 3000, Limit: 20_000}})
	for range 40 { // 1000 bytes each.
		d.root.enqueue(0, packet(986, 0), -1)
	}
	require.Len(t, drainAt(d, 0), 3, "the bucket is full at first")
	at, ok := d.root.next()
	require.True(t, ok)
	require.Equal(t, 10*time.Millisecond, at)
	require.Len(t, drainAt(d, 100*time.Millisecond), 3, "the bucket holds no more than its size")
	for now := 110 * time.Millisecond; now <= 300*time.Millisecond; now += 10 * time.Millisecond {
		drainAt(d, now)
	}
	require.Empty(t, drainAt(d, 400*time.Millisecond), "what did not fit into the limit is lost")
}

func TestTBFCutsOffloadedPackets(t *testing.T) {
	d := testDevice(t, Qdisc{TBF: &TBF{Rate: 1_000_000, Buffer: 10_000, Limit: 100_000}})
	d.root.enqueue(0, packet(40+14600, 1460), -1)
	d.root.enqueue(0, packet(40+14600, 0), -1) // too large and not to be cut: lost.
	require.Len(t, drainAt(d, 0), 6)
	require.Len(t, drainAt(d, time.Second), 4)
}

func TestFilteredQdiscs(t *testing.T) {
	n := testNetwork(t, nil)
	p := addPod(t, n, "a")
	sets := func(addr string) []IPSet {
		return []IPSet{
			{Name: "nets", Type: HashNet, Nets: []netip.Prefix{netip.MustParsePrefix(addr)}},
			{Name: "ports", Type: HashNetPort, NetPorts: []NetPort{{netip.MustParsePrefix("10.1.0.0/16"), 80}}},
			{Name: "all", Type: ListSet, Sets: []string{"nets", "ports"}},
		}
	}
	require.ErrorContains(t, p.SetQdiscs([]Qdisc{{Netem: &Netem{Loss: 100}, Filter: Filter{IPSet: "all"}}}), "set all does not exist")
	require.NoError(t, p.SetIPSets(sets("10.244.1.3/32")))
	require.NoError(t, p.SetQdiscs([]Qdisc{{Netem: &Netem{Loss: 100}, Filter: Filter{IPSet: "all"}}}))
	classOf := func(dst string, proto uint8, port uint16) int {
		return p.st.link.effects.Load().class(&flow{dst: netip.MustParseAddr(dst).As4(), proto: proto, dstPort: port})
	}
	require.Equal(t, 0, classOf("10.244.1.3", 6, 1))
	require.Equal(t, -1, classOf("10.244.1.4", 6, 1))
	require.Equal(t, 0, classOf("10.1.2.3", 6, 80))
	require.Equal(t, -1, classOf("10.1.2.3", 6, 81))
	require.Equal(t, -1, classOf("10.1.2.3", 17, 80))
	queue := p.st.link.effects.Load().queue
	require.NoError(t, p.SetIPSets(sets("10.244.1.4/32")))
	require.Equal(t, 0, classOf("10.244.1.4", 6, 1))
	require.Same(t, queue, p.st.link.effects.Load().queue, "new members do not touch what is queued")
	require.NoError(t, p.SetQdiscs(nil))
	require.Nil(t, p.st.link.effects.Load())
}

func TestPartition(t *testing.T) {
	n := testNetwork(t, nil)
	a, b, c := addPod(t, n, "a"), addPod(t, n, "b"), addPod(t, n, "c")
	echo(t, container(t, b), ":7")
	echo(t, container(t, c), ":7")
	ca := container(t, a)
	set := []IPSet{{Name: "b", Type: HashNet, Nets: []netip.Prefix{netip.MustParsePrefix("10.244.1.3/32")}}}
	for _, tt := range []struct {
		name  string
		pod   *Pod
		chain Chain
	}{
		{"out", a, Chain{Name: "OUT", Direction: Output, Target: "DROP", IPSets: []string{"b"}}},
		{"in", a, Chain{Name: "IN", Direction: Input, Target: "DROP", IPSets: []string{"b"}, Match: Match{Protocol: "tcp"}}},
		{"everything", b, Chain{Name: "ALL", Direction: Input, Target: "DROP"}},
		{"port", b, Chain{Name: "P", Direction: Input, Target: "DROP", Match: Match{Protocol: "tcp", DestinationPorts: []PortRange{{1, 10}}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.pod.SetIPSets(set))
			require.NoError(t, tt.pod.SetChains([]Chain{tt.chain}))
			_, err := ca.DialContext(contextFor(t, 50*time.Millisecond), "tcp", "10.244.1.3:7")
			require.ErrorContains(t, err, "i/o timeout")
			conn, err := ca.DialContext(testContext(t), "tcp", "10.244.1.4:7")
			require.NoError(t, err, "others are not affected")
			require.NoError(t, conn.Close())
			require.NoError(t, tt.pod.SetChains(nil))
			conn, err = ca.DialContext(testContext(t), "tcp", "10.244.1.3:7")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		})
	}
	require.ErrorContains(t, a.SetChains([]Chain{{Name: "X", Target: "MARK"}}), `target "MARK" is not supported`)
	require.ErrorContains(t, a.SetChains([]Chain{{Name: "X", Target: "DROP", Match: Match{DestinationPorts: []PortRange{{1, 1}}}}}), "ports need protocol")
}

func TestDelayAndLossOnRealConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	defer conn.Close()
	roundTrip := func() time.Duration {
		start := time.Now()
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		return time.Since(start)
	}
	roundTrip()
	require.NoError(t, a.SetQdiscs([]Qdisc{{Netem: &Netem{Delay: 30 * time.Millisecond}}}))
	require.GreaterOrEqual(t, roundTrip(), 30*time.Millisecond)
	require.NoError(t, a.SetQdiscs([]Qdisc{{Netem: &Netem{Delay: 30 * time.Millisecond}}, {Netem: &Netem{Delay: 20 * time.Millisecond}}}))
	require.GreaterOrEqual(t, roundTrip(), 50*time.Millisecond, "disciplines without a filter follow each other")
	require.NoError(t, a.SetQdiscs([]Qdisc{{Netem: &Netem{Loss: 20}}}))
	_, err = conn.Write(make([]byte, 100_000))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 100_000))
	require.NoError(t, err, "TCP makes up for the loss")
	require.NoError(t, a.SetQdiscs(nil))
	require.Nil(t, a.st.link.effects.Load())
	roundTrip()
}

func TestBandwidthOnRealConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	defer conn.Close()
	rate, err := ParseRate("1mbps")
	require.NoError(t, err)
	require.NoError(t, a.SetQdiscs([]Qdisc{{TBF: &TBF{Rate: rate, Buffer: 10_000, Limit: 20_971_520}}}))
	start := time.Now()
	go func() { _, _ = conn.Write(make([]byte, 300_000)) }()
	_, err = io.ReadFull(conn, make([]byte, 300_000))
	require.NoError(t, err)
	require.Greater(t, time.Since(start), 250*time.Millisecond, "300 kB at 1 MB/s, with a bucket of 10 kB")
}

func TestParse(t *testing.T) {
	for text, want := range map[string]uint64{"1mbps": 1_000_000, "8mbit": 1_000_000, "800": 100, "1gibit": 1 << 27, "10kbps": 10_000, "1.5mbit": 187_500} {
		got, err := ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "fast", "1xbit", "1parsec", "-1mbit"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
	}
	ports, err := ParsePorts("80,8000:8100")
	require.NoError(t, err)
	require.Equal(t, []PortRange{{80, 80}, {8000, 8100}}, ports)
	_, err = ParsePorts("99999")
	require.Error(t, err)
	flags, err := ParseTCPFlags("SYN,ACK SYN,ACK")
	require.NoError(t, err)
	require.Equal(t, TCPFlags{18, 18}, flags)
	_, err = ParseTCPFlags("SYN,XYZ SYN")
	require.Error(t, err)
}

func TestProxyInFrontOfAPort(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	ca := container(t, a)
	dial := func() net.Conn {
		conn, err := ca.DialContext(testContext(t), "tcp", "10.244.1.3:7")
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	say := func(conn net.Conn) string {
		_, err := conn.Write([]byte("hello"))
		require.NoError(t, err)
		got := make([]byte, 5)
		_, err = io.ReadFull(conn, got)
		require.NoError(t, err)
		return string(got)
	}
	old := dial()
	require.Equal(t, "hello", say(old))
	b.SetProxy(7, func(conn net.Conn, dialOriginal func() (net.Conn, error)) {
		defer conn.Close()
		up, err := dialOriginal()
		if err != nil {
			return
		}
		defer up.Close()
		buf := make([]byte, 5)
		for {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			_, _ = up.Write(buf)
			_, _ = io.ReadFull(up, buf)
			buf[0] = 'J'
			_, _ = conn.Write(buf)
		}
	})
	_, err := old.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "open connections are reset")
	through := dial()
	require.Equal(t, "Jello", say(through))
	require.Equal(t, "Jello", say(through))
	b.SetProxy(7, nil)
	_, err = through.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, "hello", say(dial()))
}
