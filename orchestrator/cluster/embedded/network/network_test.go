package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testNetwork(t testing.TB, change func(*Config)) *Network {
	t.Helper()
	cfg := Config{
		NodeName: "node-1", NodeIP: netip.MustParseAddr("172.18.0.11"), PodCIDR: netip.MustParsePrefix("10.244.1.0/24"), Seed: 1,
	}
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

// container attaches a container process to a pod, over a real socket.
func container(t testing.TB, p *Pod) *sandbox.Client {
	t.Helper()
	node, child, err := sandbox.Pair()
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Serve(node)
	}()
	conn, err := net.FileConn(child)
	require.NoError(t, err)
	require.NoError(t, child.Close())
	c := sandbox.NewClient(conn.(*net.UnixConn), &sandbox.Resolver{ResolvConf: filepath.Join(t.TempDir(), "resolv.conf")})
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		<-done
	})
	return c
}

func addPod(t testing.TB, n *Network, id string) *Pod {
	t.Helper()
	p, err := n.AddPod(PodConfig{ID: id})
	require.NoError(t, err)
	return p
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve answers HTTP requests on a container's port until the test ends.
func serve(t testing.TB, c *sandbox.Client, address, answer string) {
	t.Helper()
	l, err := c.Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", answer, strings.Split(r.RemoteAddr, ":")[0])
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		<-done
	})
}

func httpClient(t testing.TB, c *sandbox.Client) *http.Client {
	tr := &http.Transport{DialContext: c.DialContext, MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	r, err := c.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestHTTPBetweenPods(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	require.Equal(t, "10.244.1.2", a.IP().String())
	require.Equal(t, "10.244.1.3", b.IP().String())
	server := container(t, b)
	serve(t, server, ":8080", "b")
	require.Equal(t, "b for 10.244.1.2", get(t, httpClient(t, container(t, a)), "http://10.244.1.3:8080/"))
	// Containers of one pod share its loopback address, and reach the pod by its own address.
	side := httpClient(t, container(t, b))
	require.Equal(t, "b for 127.0.0.1", get(t, side, "http://localhost:8080/"))
	require.Equal(t, "b for 10.244.1.3", get(t, side, "http://10.244.1.3:8080/"))
}

// hurried is a clock on which waiting takes a hundredth of the time.
type hurried struct{ clock.RealClock }

func (hurried) AfterFunc(d time.Duration, f func()) clock.Timer {
	return clock.RealClock{}.AfterFunc(d/100, f)
}

func TestErrorsAreLinuxWords(t *testing.T) {
	n := testNetwork(t, func(c *Config) { c.Clock = hurried{} })
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	ca, cb := container(t, a), container(t, b)
	_, err := ca.DialContext(testContext(t), "tcp", "10.244.1.3:81")
	require.EqualError(t, err, "dial tcp 10.244.1.3:81: connect: connection refused")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	l, err := cb.Listen(t.Context(), "tcp", ":80")
	require.NoError(t, err)
	_, err = container(t, b).Listen(t.Context(), "tcp", ":80")
	require.EqualError(t, err, "listen tcp 0.0.0.0:80: bind: address already in use")
	_, err = cb.Listen(t.Context(), "tcp", "10.244.1.2:80")
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	require.NoError(t, l.Close())
	l, err = cb.Listen(t.Context(), "tcp", ":80")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = ca.DialContext(ctx, "tcp", "192.0.2.1:80")
	require.EqualError(t, err, "dial tcp 192.0.2.1:80: i/o timeout")
	_, err = ca.DialContext(testContext(t), "tcp", "10.244.1.99:80")
	require.EqualError(t, err, "dial tcp 10.244.1.99:80: connect: no route to host")
}

// echo accepts connections and sends back what they send, half-closing after them.
func echo(t testing.TB, c *sandbox.Client, address string) net.Listener {
	t.Helper()
	l, err := c.Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				// A peer may have gone without a word: with the test, the connection ends in any case.
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		wg.Wait()
	})
	return l
}

func TestHalfClose(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	defer conn.Close()
	want := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: more than all buffers together.
	go func() {
		_, _ = io.WriteString(conn, want)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	require.Equal(t, want, string(got))
}

func TestResetReachesTheProcess(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	l, err := container(t, b).Listen(t.Context(), "tcp", ":80")
	require.NoError(t, err)
	defer l.Close()
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:80")
	require.NoError(t, err)
	defer conn.Close()
	peer, err := l.Accept()
	require.NoError(t, err)
	_, err = conn.Write([]byte("nobody reads this"))
	require.NoError(t, err)
	_, err = peer.Read(make([]byte, 1))
	require.NoError(t, err)
	// Closing with data unread resets the connection.
	require.NoError(t, peer.Close())
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.ErrorContains(t, err, "read: connection reset by peer")
}

func TestDeadProcessEndsItsConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	cb := container(t, b)
	l, err := cb.Listen(t.Context(), "tcp", ":80")
	require.NoError(t, err)
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:80")
	require.NoError(t, err)
	defer conn.Close()
	peer, err := l.Accept()
	require.NoError(t, err)
	_, err = peer.Write([]byte("last words"))
	require.NoError(t, err)
	require.NoError(t, cb.Close())
	require.NoError(t, peer.Close())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "last words", string(got))
	require.NoError(t, l.Close())
	// The listener has gone with its process.
	require.Eventually(t, func() bool {
		_, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:80")
		return err != nil
	}, 5*time.Second, 10*time.Millisecond)
}

func TestUDP(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	ca, cb := container(t, a), container(t, b)
	pc, err := cb.ListenPacket(t.Context(), "udp", ":53")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			k, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(buf[:k], from)
		}
	}()
	defer func() {
		pc.Close()
		<-done
	}()
	conn, err := ca.DialContext(testContext(t), "udp", "10.244.1.3:53")
	require.NoError(t, err)
	defer conn.Close()
	for _, size := range []int{0, 1, 1400, 4000} { // the last is fragmented.
		_, err = conn.Write(make([]byte, size))
		require.NoError(t, err)
		k, err := conn.Read(make([]byte, 5000))
		require.NoError(t, err)
		require.Equal(t, size, k)
	}
	closed, err := ca.DialContext(testContext(t), "udp", "10.244.1.3:54")
	require.NoError(t, err)
	defer closed.Close()
	_, err = closed.Write([]byte("x"))
	require.NoError(t, err)
	_, err = closed.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestDeadlinesAndClosedConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.ErrorContains(t, err, "i/o timeout")
	require.NoError(t, conn.Close())
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestManyConnections(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	ca := container(t, a)
	var wg sync.WaitGroup
	errs := make(chan error, 500)
	for i := range 500 {
		wg.Go(func() {
			conn, err := ca.DialContext(t.Context(), "tcp", "10.244.1.3:7")
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close()
			msg := fmt.Sprintf("message %d", i)
			if _, err := io.WriteString(conn, msg); err != nil {
				errs <- err
				return
			}
			got := make([]byte, len(msg))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != msg {
				errs <- fmt.Errorf("echo %q: %q %w", msg, got, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestRemovedPod(t *testing.T) {
	n := testNetwork(t, nil)
	a, b := addPod(t, n, "a"), addPod(t, n, "b")
	echo(t, container(t, b), ":7")
	conn, err := container(t, a).DialContext(testContext(t), "tcp", "10.244.1.3:7")
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, n.RemovePod("b"))
	require.NoError(t, n.RemovePod("b"))
	_, ok := n.Pod("b")
	require.False(t, ok)
	// The address is not given to the next pod.
	require.Equal(t, "10.244.1.4", addPod(t, n, "c").IP().String())
}

func TestForwards(t *testing.T) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "host") })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(host)
	}()
	defer func() {
		srv.Close()
		<-done
	}()
	n := testNetwork(t, func(c *Config) {
		c.Forwards = map[netip.AddrPort]string{
			netip.MustParseAddrPort("172.18.0.2:6443"):   host.Addr().String(),
			netip.MustParseAddrPort("172.18.0.11:10250"): host.Addr().String(),
			netip.MustParseAddrPort("172.18.0.2:1"):      "127.0.0.1:1",
		}
	})
	c := container(t, addPod(t, n, "a"))
	client := httpClient(t, c)
	require.Equal(t, "host", get(t, client, "http://172.18.0.2:6443/"))
	require.Equal(t, "host", get(t, client, "http://172.18.0.11:10250/"))
	client.CloseIdleConnections()
	_, err = c.DialContext(testContext(t), "tcp", "172.18.0.2:1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = c.DialContext(testContext(t), "tcp", "172.18.0.2:22")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestHostNetworkPodSharesTheNode(t *testing.T) {
	n := testNetwork(t, nil)
	p, err := n.AddPod(PodConfig{ID: "h", HostNetwork: true})
	require.NoError(t, err)
	require.Equal(t, n.Host().IP(), p.IP())
	serve(t, container(t, p), ":9100", "host")
	require.Equal(t, "host for 10.244.1.2", get(t, httpClient(t, container(t, addPod(t, n, "a"))), "http://172.18.0.11:9100/"))
	conn, err := n.Host().DialContext(testContext(t), "tcp", "localhost:9100")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func hostPod(t testing.TB, n *Network) *Pod {
	t.Helper()
	p, err := n.AddPod(PodConfig{ID: "host", HostNetwork: true})
	require.NoError(t, err)
	return p
}

func netUDPAddr(a string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a)) }

func ctxTimeout(ctx context.Context, t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return ctx
}
