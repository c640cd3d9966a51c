package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
