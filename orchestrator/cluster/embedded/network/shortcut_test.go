package network

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// open says how many shortcuts the node's senders have.
func (t *shortcuts) open() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.splices {
		s.past.mu.Lock()
		if s.past.lease != nil && !s.past.lease.Revoked() {
			n++
		}
		s.past.mu.Unlock()
	}
	return n
}

// pingPong sends one byte there and back.
func pingPong(t testing.TB, conn net.Conn) {
	t.Helper()
	_, err := conn.Write([]byte{1})
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
}

// warm talks until both directions have a shortcut.
func warm(t testing.TB, conn net.Conn, one, two *Network) {
	t.Helper()
	require.Eventually(t, func() bool {
		for range 4 {
			pingPong(t, conn)
		}
		n := one.shortcuts.open()
		if two != one {
			n += two.shortcuts.open()
		}
		return n == 2
	}, 10*time.Second, time.Millisecond)
}

func everyPod() []IPSet {
	return []IPSet{{Name: "all", Type: HashNet, Nets: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}}}
}

// TestEffectsReachShortcuts: a connection that has long passed the stacks by is subject to an effect as soon as it is in force, at
// either end, and goes on as if nothing had happened when the effect is gone.
func TestEffectsReachShortcuts(t *testing.T) {
	for _, nodes := range []string{"one node", "two nodes"} {
		for _, end := range []string{"sender", "receiver"} {
			t.Run(nodes+", effect at "+end, func(t *testing.T) {
				one, two := twoNodes(t)
				if nodes == "one node" {
					two = one
				}
				p, q := addPod(t, one, "p"), addPod(t, two, "q")
				echo(t, container(t, q), ":7")
				conn, err := container(t, p).DialContext(testContext(t), "tcp", q.IP().String()+":7")
				require.NoError(t, err)
				defer conn.Close()
				victim := map[string]*Pod{"sender": p, "receiver": q}[end]
				for range 3 {
					warm(t, conn, one, two)
					require.NoError(t, victim.SetIPSets(everyPod()))
					require.NoError(t, victim.SetChains([]Chain{{Name: "cut", Direction: Output, Target: "DROP", IPSets: []string{"all"}}}))
					require.Zero(t, one.shortcuts.open()+two.shortcuts.open())
					_, err = conn.Write([]byte{1})
					require.NoError(t, err, "as in TCP, the loss shows only in the missing answer")
					require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
					_, err = conn.Read(make([]byte, 1))
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					require.NoError(t, conn.SetReadDeadline(time.Time{}))
					require.NoError(t, victim.SetChains(nil))
					_, err = io.ReadFull(conn, make([]byte, 1))
					require.NoError(t, err, "retransmitted")
				}
			})
		}
	}
}

func TestDelayReachesShortcuts(t *testing.T) {
	one, two := twoNodes(t)
	p, q := addPod(t, one, "p"), addPod(t, two, "q")
	echo(t, container(t, q), ":7")
	conn, err := container(t, p).DialContext(testContext(t), "tcp", q.IP().String()+":7")
	require.NoError(t, err)
	defer conn.Close()
	warm(t, conn, one, two)
	require.NoError(t, q.SetQdiscs([]Qdisc{{Netem: &Netem{Delay: 40 * time.Millisecond}}}))
	began := time.Now()
	pingPong(t, conn)
	require.GreaterOrEqual(t, time.Since(began), 40*time.Millisecond)
}

// connected connects a container of p to one of q and returns both ends.
func connected(t *testing.T, p, q *Pod) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := container(t, q).Listen(t.Context(), "tcp", ":9")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	dialled, err = container(t, p).DialContext(testContext(t), "tcp", q.IP().String()+":9")
	require.NoError(t, err)
	t.Cleanup(func() { dialled.Close() })
	accepted, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { accepted.Close() })
	return dialled, accepted
}

// TestBytesKeepTheirOrder sends numbers both ways while effects come and go.
func TestBytesKeepTheirOrder(t *testing.T) {
	one, two := twoNodes(t)
	p, q := addPod(t, one, "p"), addPod(t, two, "q")
	conn, other := connected(t, p, q)
	const numbers = 500_000
	var wg sync.WaitGroup
	for _, c := range [][2]net.Conn{{conn, other}, {other, conn}} {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, 2))
			var buf []byte
			for i := uint32(0); i < numbers; {
				buf = buf[:0]
				for range 1 + r.IntN(4000) {
					buf = binary.BigEndian.AppendUint32(buf, i)
					if i++; i == numbers {
						break
					}
				}
				if _, err := c[0].Write(buf); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			b := make([]byte, 4)
			for i := range uint32(numbers) {
				if _, err := io.ReadFull(c[1], b); err != nil {
					t.Error(err)
					return
				}
				if got := binary.BigEndian.Uint32(b); got != i {
					t.Errorf("number %d: got %d", i, got)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	for i := 0; i < 40; i++ {
		victim := []*Pod{p, q}[i%2]
		require.NoError(t, victim.SetQdiscs([]Qdisc{{Netem: &Netem{Delay: 100 * time.Microsecond}}}))
		require.NoError(t, victim.SetQdiscs(nil)) // what is queued is lost, and sent again.
		select {
		case <-done:
			i = 40
		case <-time.After(time.Millisecond):
		}
	}
	<-done
}

func TestShortcutEndsWithItsConnection(t *testing.T) {
	for name, end := range map[string]struct {
		close func(t *testing.T, c net.Conn)
		want  error
	}{
		"close":              {func(t *testing.T, c net.Conn) { require.NoError(t, c.Close()) }, io.EOF},
		"close, unread data": {func(t *testing.T, c net.Conn) { require.NoError(t, c.Close()) }, syscall.ECONNRESET},
		"half close": {func(t *testing.T, c net.Conn) {
			require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
		}, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := twoNodes(t)
			conn, other := connected(t, addPod(t, one, "p"), addPod(t, two, "q"))
			require.Eventually(t, func() bool {
				_, err := conn.Write([]byte{1})
				require.NoError(t, err)
				_, err = io.ReadFull(other, make([]byte, 1))
				require.NoError(t, err)
				return one.shortcuts.open() == 1
			}, 10*time.Second, time.Microsecond)
			if errors.Is(end.want, syscall.ECONNRESET) {
				_, err := conn.Write([]byte("unread"))
				require.NoError(t, err)
				s := two.shortcuts.find(ends{local: addrOf(other.LocalAddr()), remote: addrOf(other.RemoteAddr())})
				require.Eventually(t, s.p.unread, 10*time.Second, time.Millisecond)
			}
			end.close(t, other)
			_, err := conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, end.want)
			if name == "half close" {
				_, err = conn.Write([]byte("still"))
				require.NoError(t, err)
				_, err = io.ReadFull(other, make([]byte, 5))
				require.NoError(t, err)
			}
		})
	}
}

// TestResetReachesAReaderWhosePeerIsIdle: the peer's process has the reader's pipe, and does not look at its connection.
func TestResetReachesAReaderWhosePeerIsIdle(t *testing.T) {
	one, two := twoNodes(t)
	q := addPod(t, two, "q")
	conn, other := connected(t, addPod(t, one, "p"), q)
	require.Eventually(t, func() bool {
		_, err := conn.Write([]byte{1})
		require.NoError(t, err)
		_, err = io.ReadFull(other, make([]byte, 1))
		require.NoError(t, err)
		return one.shortcuts.open() == 1
	}, 10*time.Second, time.Microsecond)
	q.SetProxy(9, func(conn net.Conn, _ func() (net.Conn, error)) { conn.Close() })
	require.NoError(t, other.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := other.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// TestWriteDeadlineOnAShortcut: a peer that does not read fills the pipe; what was written before the deadline arrives, and so does what follows.
func TestWriteDeadlineOnAShortcut(t *testing.T) {
	one, two := twoNodes(t)
	p := addPod(t, one, "p")
	conn, other := connected(t, p, addPod(t, two, "q"))
	total := 0
	require.Eventually(t, func() bool {
		n, err := conn.Write([]byte{1})
		require.NoError(t, err)
		total += n
		return one.shortcuts.open() == 1
	}, 10*time.Second, time.Microsecond)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	n, err := conn.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, n, 1<<20)
	total += n
	require.NoError(t, conn.SetWriteDeadline(time.Time{}))
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write([]byte("end"))
		written <- err
	}()
	got := make([]byte, total+len("end"))
	_, err = io.ReadFull(other, got)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.Equal(t, "end", string(got[total:]))
}

// TestCloseEndsAWriteOnAShortcut: a write that waits for its peer ends when its connection is closed.
func TestCloseEndsAWriteOnAShortcut(t *testing.T) {
	one, two := twoNodes(t)
	conn, _ := connected(t, addPod(t, one, "p"), addPod(t, two, "q"))
	require.Eventually(t, func() bool {
		_, err := conn.Write([]byte{1})
		require.NoError(t, err)
		return one.shortcuts.open() == 1
	}, 10*time.Second, time.Microsecond)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
	_, err := conn.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetWriteDeadline(time.Time{}))
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, 1<<20))
		written <- err
	}()
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-written, net.ErrClosed)
}

func TestShortcutsAreCounted(t *testing.T) {
	one, two := twoNodes(t)
	p, q := addPod(t, one, "p"), addPod(t, two, "q")
	echo(t, container(t, q), ":7")
	conn, err := container(t, p).DialContext(testContext(t), "tcp", q.IP().String()+":7")
	require.NoError(t, err)
	defer conn.Close()
	warm(t, conn, one, two)
	sent, received := p.Traffic(), q.Traffic()
	const size = 100_000
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, size))
		written <- err
	}()
	_, err = io.ReadFull(conn, make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.GreaterOrEqual(t, p.Traffic().TxBytes, sent.TxBytes+size)
	require.GreaterOrEqual(t, p.Traffic().TxPackets, sent.TxPackets+size/defaultMTU)
	require.Eventually(t, func() bool { return q.Traffic().RxBytes >= received.RxBytes+size }, 10*time.Second, 10*time.Millisecond)
}

func addrOf(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }
