package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEverythingAtOnce lets the pods of two nodes talk in all directions while pods come and go and effects change. What is asserted is that
// nothing hangs, and that after it every pair still talks.
func TestEverythingAtOnce(t *testing.T) {
	one, two := twoNodes(t)
	type member struct {
		pod  *Pod
		dial func(ctx context.Context, network, address string) (net.Conn, error)
	}
	var members []member
	for i := range 4 {
		n := []*Network{one, two}[i%2]
		p := addPod(t, n, fmt.Sprint("p", i))
		c := container(t, p)
		echo(t, c, ":7")
		members = append(members, member{p, c.DialContext})
	}
	talk := func(ctx context.Context, from, to member) error {
		conn, err := from.dial(ctx, "tcp", to.pod.IP().String()+":7")
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		msg := strings.Repeat("y", 20_000)
		go func() { _, _ = io.WriteString(conn, msg) }()
		_, err = io.ReadFull(conn, make([]byte, len(msg)))
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var done atomic.Int64
	for i := range members {
		for j := range members {
			wg.Go(func() {
				for ctx.Err() == nil {
					if talk(ctx, members[i], members[j]) == nil {
						done.Add(1)
					}
				}
			})
		}
	}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p := members[i%len(members)].pod
			_ = p.SetIPSets([]IPSet{{Name: "s", Type: HashNet, Nets: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}}})
			_ = p.SetQdiscs([]Qdisc{{Netem: &Netem{Delay: time.Millisecond, Jitter: time.Millisecond, Loss: 1, Duplicate: 1, Corrupt: 1}, Filter: Filter{IPSet: "s"}}})
			_ = p.SetChains([]Chain{{Name: "c", Direction: Direction(i % 2), Target: "DROP", IPSets: []string{"s"}}})
			<-time.After(5 * time.Millisecond)
			_ = p.SetChains(nil)
			_ = p.SetQdiscs(nil)
		}
	})
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p, err := one.AddPod(PodConfig{ID: fmt.Sprint("x", i)})
			if err != nil {
				continue
			}
			conn, err := p.DialContext(ctx, "tcp", members[0].pod.IP().String()+":7")
			_ = one.RemovePod(p.ID())
			if err == nil {
				conn.Close()
			}
			one.SetServices([]Service{webService(backend("10.244.2.2:7", "node-2"))})
		}
	})
	wg.Wait()
	require.Positive(t, done.Load())
	for i := range members {
		for j := range members {
			require.NoError(t, talk(contextFor(t, 20*time.Second), members[i], members[j]))
		}
	}
	t.Logf("%d exchanges", done.Load())
}

// TestStoppedPeerHoldsNobodyUp fills the wire to a peer that takes nothing.
func TestStoppedPeerHoldsNobodyUp(t *testing.T) {
	socket := t.TempDir() + "/stopped.wire"
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	n := testNetwork(t, func(c *Config) {
		c.WireSocket = t.TempDir() + "/own.wire"
		c.Peers = []Peer{{Name: "node-2", NodeIP: netip.MustParseAddr("172.18.0.12"), PodCIDR: netip.MustParsePrefix("10.244.2.0/24"), WireSocket: socket}}
	})
	pc, err := container(t, addPod(t, n, "a")).ListenPacket(t.Context(), "udp", ":0")
	require.NoError(t, err)
	defer pc.Close()
	start := time.Now()
	for range 3000 { // far more than the queue and the socket take together.
		_, err := pc.WriteTo(make([]byte, 1400), netUDPAddr("10.244.2.9:9"))
		require.NoError(t, err)
	}
	require.Less(t, time.Since(start), 30*time.Second)
}
