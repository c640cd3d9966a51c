package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
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
	dir, err := os.MkdirTemp("", "eg")
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

// echo serves TCP on loopback: it greets with greeting and then sends back what it gets.
func echo(t *testing.T, greeting string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go serveEach(l, func(c net.Conn) {
		_, _ = io.WriteString(c, greeting+"\n")
		_, _ = io.Copy(c, c)
	})
	return l.Addr().(*net.TCPAddr).Port
}

func serveEach(l net.Listener, f func(net.Conn)) {
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
}

// node serves a node's egress socket. It answers every CONNECT with status and, on success, greets with its own name and
// the address that it was asked for.
func node(t *testing.T, c *spec.Cluster, name, status string) {
	t.Helper()
	l, err := net.Listen("unix", c.EgressSocket(name))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go serveEach(l, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		// The first bytes of the target come in the same packet as the answer.
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n%s %s\n", status, name, req.Host)
		if status == "200 OK" {
			_, _ = io.Copy(conn, r)
		}
	})
}

// serve runs the cluster's proxy until the test ends.
func serve(t *testing.T, c *spec.Cluster) {
	t.Helper()
	l, err := net.Listen("unix", egress.Socket(c))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- egress.New(c, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// connect asks the proxy for address and returns the status line's text and the connection.
func connect(t *testing.T, c *spec.Cluster, address string) (string, net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", egress.Socket(c))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", address)
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	_ = res.Body.Close()
	return res.Status, conn, r
}

func TestConnectGoesWhereTheAddressLives(t *testing.T) {
	c := newCluster(t)
	c.Nodes[0].KubeletPort = echo(t, "kubelet of node-1")
	c.Ports.APIServer = echo(t, "api server")
	webhook := echo(t, "webhook")
	node(t, c, "node-1", "200 OK")
	node(t, c, "node-2", "200 OK")
	serve(t, c)
	for _, tc := range []struct{ name, address, want string }{
		{"kubelet", "172.18.0.11:10250", "kubelet of node-1"},
		{"another port of a node", "172.18.0.11:30080", "node-1 172.18.0.11:30080"},
		{"pod", "10.244.2.7:8080", "node-2 10.244.2.7:8080"},
		{"api server", "172.18.0.2:6443", "api server"},
		{"webhook on the host", fmt.Sprintf("127.0.0.1:%d", webhook), "webhook"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, conn, r := connect(t, c, tc.address)
			require.Equal(t, "200 OK", status)
			greeting, err := r.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, tc.want+"\n", greeting)
			_, err = io.WriteString(conn, "ping")
			require.NoError(t, err)
			require.NoError(t, conn.(*net.UnixConn).CloseWrite())
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, "ping", string(rest), "the half close must reach the target and its answer come back")
		})
	}
}

func TestServiceIsReachedThroughAnyLiveNode(t *testing.T) {
	c := newCluster(t)
	node(t, c, "node-2", "200 OK")
	serve(t, c)
	for range 4 { // Whoever's turn it is: node-1 is dead.
		status, _, r := connect(t, c, "10.96.3.4:443")
		require.Equal(t, "200 OK", status)
		greeting, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "node-2 10.96.3.4:443\n", greeting)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	c := newCluster(t)
	node(t, c, "node-2", "502 dial tcp 10.244.2.9:81: connect: connection refused")
	serve(t, c)
	for _, tc := range []struct{ name, address, want string }{
		{"pod of a dead node", "10.244.1.5:80", "502 dial tcp 10.244.1.5:80: connect: no route to host"},
		{"closed port of a pod", "10.244.2.9:81", "502 dial tcp 10.244.2.9:81: connect: connection refused"},
		{"no node's address", "10.244.9.1:80", "502 dial tcp 10.244.9.1:80: connect: no route to host"},
		{"outside the cluster", "192.0.2.1:80", "502 dial tcp 192.0.2.1:80: connect: no route to host"},
		{"a name", "example.org:443", "502 dial tcp example.org:443: no such host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, _, _ := connect(t, c, tc.address)
			require.Equal(t, tc.want, status)
		})
	}
}

func TestOnlyConnectIsServed(t *testing.T) {
	c := newCluster(t)
	serve(t, c)
	conn, err := net.Dial("unix", egress.Socket(c))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestHungNodeTimesOut(t *testing.T) {
	c := newCluster(t)
	l, err := net.Listen("unix", c.EgressSocket("node-1")) // Accepts nothing, like a stopped process.
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = egress.New(c, slog.New(slog.DiscardHandler)).Dial(ctx, "10.244.1.5:80")
	require.EqualError(t, err, "dial tcp 10.244.1.5:80: i/o timeout")
}

func TestStopEndsOpenConnections(t *testing.T) {
	c := newCluster(t)
	node(t, c, "node-1", "200 OK")
	l, err := net.Listen("unix", egress.Socket(c))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- egress.New(c, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	_, _, r := connect(t, c, "10.244.1.5:80")
	cancel()
	require.NoError(t, <-done)
	_, err = io.ReadAll(r)
	require.NoError(t, err, "the client must see an end, not a timeout")
}

func TestConfigNamesTheSocket(t *testing.T) {
	require.Contains(t, egress.Config("/tmp/x/s/egress"), `udsName: "/tmp/x/s/egress"`)
}
