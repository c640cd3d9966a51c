package network

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// stepped is a clock that stands still between the steps of a test.
type stepped struct{ *clocktesting.FakeClock }

func (c stepped) AfterFunc(d time.Duration, f func()) clock.Timer {
	return c.FakeClock.AfterFunc(d, func() { go f() }) // which asks for the time, and a step holds the clock's lock.
}

// TestBandwidthLimits: a pod's limits hold in each direction by themselves: a bucket may go at once, a little waits, the rest is lost.
func TestBandwidthLimits(t *testing.T) {
	const (
		rate     = 8000 // in bytes per second: the bucket is the least one.
		payload  = 1472 // makes a packet of full size.
		sent     = 20
		atOnce   = 4 // of the sent packets.
		inTheEnd = 8
	)
	for _, tt := range []struct {
		name     string
		cfg      PodConfig
		up, down int // what arrives at once of what the pod sends, and of what it is sent.
	}{
		{"egress", PodConfig{EgressRate: rate}, atOnce, sent},
		{"ingress", PodConfig{IngressRate: rate}, sent, atOnce},
		{"both", PodConfig{EgressRate: rate, IngressRate: rate}, atOnce, atOnce},
		{"neither", PodConfig{}, sent, sent},
		{"of a fast link", PodConfig{EgressRate: 1 << 40, IngressRate: 1 << 40}, sent, sent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := stepped{clocktesting.NewFakeClock(time.Unix(0, 0))}
			n := testNetwork(t, func(c *Config) { c.Clock = fake })
			tt.cfg.ID = "limited"
			p, err := n.AddPod(tt.cfg)
			require.NoError(t, err)
			check := func(from, to *Pod, now int) {
				came := func() int { return int(to.Traffic().RxPackets) }
				before := came()
				conn, err := from.ListenPacket("udp", ":53")
				require.NoError(t, err)
				defer conn.Close()
				peer, err := to.ListenPacket("udp", ":53")
				require.NoError(t, err)
				defer peer.Close()
				for range sent {
					_, err := conn.WriteTo(make([]byte, payload), netUDPAddr(to.IP().String()+":53"))
					require.NoError(t, err)
				}
				require.Equal(t, before+now, came())
				if now == sent {
					return
				}
				becomes := func(total int) {
					t.Helper()
					require.Eventually(t, func() bool { return came() == before+total }, 5*time.Second, time.Millisecond)
				}
				fake.Step(time.Second * 1514 / rate)
				becomes(now + 1)
				fake.Step(time.Second)
				becomes(inTheEnd)
				fake.Step(time.Second)
				require.Equal(t, before+inTheEnd, came())
			}
			q := addPod(t, n, "q")
			check(p, q, tt.up)
			check(q, p, tt.down)
		})
	}
}

// TestLimitedConnections: connections to another node deliver everything, no faster than the limits, and never pass the stacks by.
func TestLimitedConnections(t *testing.T) {
	const size, rate = 100_000, 500_000
	one, two := twoNodes(t)
	p, err := one.AddPod(PodConfig{ID: "limited", EgressRate: rate, IngressRate: rate})
	require.NoError(t, err)
	dialled, accepted := connected(t, p, addPod(t, two, "q"))
	took := func(from, to net.Conn) time.Duration {
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := from.Write(make([]byte, size))
			done <- err
		}()
		_, err := io.ReadFull(to, make([]byte, size))
		require.NoError(t, err)
		require.NoError(t, <-done)
		return time.Since(began)
	}
	const least = (size - rate/burstsPerSecond) * time.Second / rate // all but the bucket.
	require.Greater(t, took(dialled, accepted), least)
	require.Greater(t, took(accepted, dialled), least)
	for range 40 {
		for _, ends := range [][2]net.Conn{{dialled, accepted}, {accepted, dialled}} {
			_, err = ends[0].Write([]byte{1})
			require.NoError(t, err)
			_, err = io.ReadFull(ends[1], make([]byte, 1))
			require.NoError(t, err)
		}
	}
	require.Zero(t, openShortcuts(one, two))
}
