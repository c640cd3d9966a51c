package egress_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/egress"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newCluster is a cluster of two nodes whose directory is short enough for sockets.
func newCluster(t *testing.T) *spec.Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "eg") //nolint:usetesting // t.TempDir is too long for sockets.
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Mkdir(filepath.Join(dir, "s"), 0o700))
	return &spec.Cluster{
		Dir: dir,
		Network: spec.Network{
			PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"),
			ControlPlane: netip.MustParseAddr("172.18.0.2"),
		},
		Nodes: []spec.Node{
			{Name: "node-1", Address: netip.MustParseAddr("172.18.0.11"), PodCIDR: netip.MustParsePrefix("10.244.1.0/24")},
			{Name: "node-2", Address: netip.MustParseAddr("172.18.0.12"), PodCIDR: netip.MustParsePrefix("10.244.2.0/24")},
		},
	}
}

func serveEach(t *testing.T, l net.Listener, f func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
}

// echo serves TCP on loopback: it greets with greeting and then sends back what it gets. It returns its port.
func echo(t *testing.T, greeting string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serveEach(t, l, func(c net.Conn) {
		_, _ = io.WriteString(c, greeting+"\n")
		_, _ = io.Copy(c, c)
	})
	return l.Addr().(*net.TCPAddr).Port
}

// node serves a node's egress socket. It greets with its own name and the address that it was asked for, or refuses
// with a reason.
func node(t *testing.T, c *spec.Cluster, name, refusal string) {
	t.Helper()
	l, err := net.Listen("unix", c.EgressSocket(name))
	require.NoError(t, err)
	serveEach(t, l, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if refusal != "" {
			fmt.Fprintf(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%s", len(refusal), refusal)
			return
		}
		// The target's first bytes come in the same packet as the answer.
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%s %s\n", name, req.Host)
		_, _ = io.Copy(conn, r)
	})
}

func dial(t *testing.T, c *spec.Cluster, address string) (net.Conn, error) {
	t.Helper()
	conn, err := egress.NewDialer(c).DialContext(t.Context(), "tcp", address)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	}
	return conn, err
}

func TestDialGoesWhereTheAddressLives(t *testing.T) {
	c := newCluster(t)
	c.Nodes[0].KubeletPort = echo(t, "kubelet of node-1")
	c.Ports.APIServer = echo(t, "api server")
	webhook := echo(t, "webhook")
	node(t, c, "node-1", "")
	node(t, c, "node-2", "")
	for _, tc := range []struct{ name, address, want string }{
		{"kubelet", "172.18.0.11:10250", "kubelet of node-1"},
		{"another port of a node", "172.18.0.11:30080", "node-1 172.18.0.11:30080"},
		{"pod", "10.244.2.7:8080", "node-2 10.244.2.7:8080"},
		{"mapped address", "[::ffff:10.244.2.7]:8080", "node-2 10.244.2.7:8080"},
		{"api server", "172.18.0.2:6443", "api server"},
		{"webhook on the host", fmt.Sprintf("127.0.0.1:%d", webhook), "webhook"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := dial(t, c, tc.address)
			require.NoError(t, err)
			r := bufio.NewReader(conn)
			greeting, err := r.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, tc.want+"\n", greeting)
			_, err = io.WriteString(conn, "ping")
			require.NoError(t, err)
			require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, "ping", string(rest))
		})
	}
}

func TestServiceIsReachedThroughAnyLiveNode(t *testing.T) {
	c := newCluster(t)
	node(t, c, "node-2", "")
	d := egress.NewDialer(c)
	for range 4 { // Whoever's turn it is: node-1 is dead.
		conn, err := d.DialContext(t.Context(), "tcp", "10.96.3.4:443")
		require.NoError(t, err)
		greeting, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "node-2 10.96.3.4:443\n", greeting)
		require.NoError(t, conn.Close())
	}
}

func TestErrorsAreThoseOfTheNetwork(t *testing.T) {
	c := newCluster(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c.Nodes[0].KubeletPort = closed.Addr().(*net.TCPAddr).Port
	require.NoError(t, closed.Close())
	node(t, c, "node-2", "connect tcp 10.244.2.9:81: connection was refused")
	for _, tc := range []struct {
		name, address, want string
		is                  error
	}{
		{"kubelet of a dead node", "172.18.0.11:10250", "dial tcp 172.18.0.11:10250: connect: connection refused", syscall.ECONNREFUSED},
		{"pod of a dead node", "10.244.1.5:80", "dial tcp 10.244.1.5:80: connect: no route to host", syscall.EHOSTUNREACH},
		{"closed port of a pod", "10.244.2.9:81", "dial tcp 10.244.2.9:81: connect: connection refused", syscall.ECONNREFUSED},
		{"Service that refuses", "10.96.0.7:80", "dial tcp 10.96.0.7:80: connect: connection refused", syscall.ECONNREFUSED},
		{"no node's address", "10.244.9.1:80", "dial tcp 10.244.9.1:80: connect: no route to host", syscall.EHOSTUNREACH},
		{"outside the cluster", "192.0.2.1:80", "dial tcp 192.0.2.1:80: connect: no route to host", syscall.EHOSTUNREACH},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dial(t, c, tc.address)
			require.EqualError(t, err, tc.want)
			require.ErrorIs(t, err, tc.is)
		})
	}
	_, err = dial(t, c, "example.org:443")
	require.EqualError(t, err, "dial tcp: lookup example.org: no such host")
}

func TestHungNodeTimesOut(t *testing.T) {
	c := newCluster(t)
	l, err := net.Listen("unix", c.EgressSocket("node-1")) // Accepts nothing, like a stopped process.
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = egress.NewDialer(c).DialContext(ctx, "tcp", "10.244.1.5:80")
	require.EqualError(t, err, "dial tcp 10.244.1.5:80: i/o timeout")
	var ne net.Error
	require.True(t, errors.As(err, &ne) && ne.Timeout())
}

func TestNodeThatDiesInTheMiddleIsNoRoute(t *testing.T) {
	c := newCluster(t)
	l, err := net.Listen("unix", c.EgressSocket("node-1"))
	require.NoError(t, err)
	serveEach(t, l, func(conn net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(conn)) })
	_, err = dial(t, c, "10.244.1.5:80")
	require.ErrorIs(t, err, syscall.EHOSTUNREACH)
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	c := newCluster(t)
	l, err := net.Listen("unix", c.EgressSocket("node-1"))
	require.NoError(t, err)
	serveEach(t, l, func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, "garbage"); err != nil {
				return
			}
		}
	})
	_, err = dial(t, c, "10.244.1.5:80")
	require.ErrorContains(t, err, "too long")
}
