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
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// testNetwork is the network of one node, which change may configure differently.
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

func addPod(t testing.TB, n *Network, id string) *Pod {
	t.Helper()
	p, err := n.AddPod(PodConfig{ID: id})
	require.NoError(t, err)
	return p
}

func hostPod(t testing.TB, n *Network) *Pod {
	t.Helper()
	p, err := n.AddPod(PodConfig{ID: "host", HostNetwork: true})
	require.NoError(t, err)
	return p
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

// testContext bounds what a working network does at once.
func testContext(t testing.TB) context.Context { return contextFor(t, 10*time.Second) }

// contextFor ends after d, or with the test.
func contextFor(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
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

func netUDPAddr(a string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a)) }

// hurried is a clock on which waiting takes a hundredth of the time.
type hurried struct{ clock.RealClock }

func (hurried) AfterFunc(d time.Duration, f func()) clock.Timer {
	return clock.RealClock{}.AfterFunc(d/100, f)
}
