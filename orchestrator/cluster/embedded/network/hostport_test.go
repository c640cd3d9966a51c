package network

import (
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// addServer adds a pod with host ports that answers with its own name on port 80, over TCP and UDP.
func addServer(t *testing.T, n *Network, name string, ports ...HostPort) {
	t.Helper()
	p, err := n.AddPod(PodConfig{ID: name, HostPorts: ports})
	require.NoError(t, err)
	c := container(t, p)
	serve(t, c, ":80", name)
	pc, err := c.ListenPacket(t.Context(), "udp", ":80")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 100)
		for {
			_, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo([]byte(name), from)
		}
	}()
	t.Cleanup(func() {
		pc.Close()
		<-done
	})
}

// ask sends a datagram and returns the answer.
func ask(t *testing.T, conn net.Conn, err error) (string, error) {
	t.Helper()
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("who"))
	require.NoError(t, err)
	buf := make([]byte, 100)
	k, err := conn.Read(buf)
	return string(buf[:k]), err
}

func TestHostPorts(t *testing.T) {
	n := testNetwork(t, nil)
	node, lo := netip.MustParseAddr("172.18.0.11"), netip.MustParseAddr("127.0.0.1")
	addServer(t, n, "any", HostPort{Protocol: "TCP", Port: 8080, To: 80}, HostPort{Protocol: "TCP", Port: 8081, To: 81})
	addServer(t, n, "node", HostPort{Protocol: "TCP", Address: node, Port: 9090, To: 80})
	addServer(t, n, "lo", HostPort{Protocol: "TCP", Address: lo, Port: 9090, To: 80}, HostPort{Protocol: "TCP", Address: lo, Port: 9091, To: 80})
	addServer(t, n, "udp", HostPort{Protocol: "UDP", Address: node, Port: 9090, To: 80})
	client := container(t, addPod(t, n, "client"))
	web := httpClient(t, client)
	require.Equal(t, "any for 172.18.0.11", get(t, web, "http://172.18.0.11:8080/"), "the node is the pod's client")
	require.Equal(t, "node for 172.18.0.11", get(t, web, "http://172.18.0.11:9090/"))
	for name, address := range map[string]string{
		"nothing listens in the pod": "172.18.0.11:8081", "no such host port": "172.18.0.11:8082", "on loopback alone": "172.18.0.11:9091",
	} {
		_, err := client.DialContext(testContext(t), "tcp", address)
		require.ErrorIs(t, err, syscall.ECONNREFUSED, name)
	}
	local := &http.Client{Transport: &http.Transport{DialContext: hostPod(t, n).DialContext, DisableKeepAlives: true}}
	require.Contains(t, get(t, local, "http://127.0.0.1:9090/"), "lo for ")
	require.Contains(t, get(t, local, "http://127.0.0.1:8080/"), "any for ")
	require.Contains(t, get(t, local, "http://172.18.0.11:9090/"), "node for ")

	conn, err := client.DialContext(testContext(t), "udp", "172.18.0.11:9090")
	answer, err := ask(t, conn, err)
	require.NoError(t, err)
	require.Equal(t, "udp", answer)
	conn, err = client.DialContext(testContext(t), "udp", "172.18.0.11:8080")
	_, err = ask(t, conn, err)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// TestHostPortsEndWithTheirPod: what is new is refused.
func TestHostPortsEndWithTheirPod(t *testing.T) {
	n := testNetwork(t, nil)
	addServer(t, n, "server", HostPort{Protocol: "TCP", Port: 8080, To: 80}, HostPort{Protocol: "UDP", Port: 8080, To: 80})
	client := container(t, addPod(t, n, "client"))
	require.Equal(t, "server for 172.18.0.11", get(t, httpClient(t, client), "http://172.18.0.11:8080/"))
	conn, err := client.DialContext(testContext(t), "udp", "172.18.0.11:8080")
	_, err = ask(t, conn, err)
	require.NoError(t, err)
	require.NoError(t, n.RemovePod("server"))
	_, err = client.DialContext(testContext(t), "tcp", "172.18.0.11:8080")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	conn, err = client.DialContext(testContext(t), "udp", "172.18.0.11:8080")
	_, err = ask(t, conn, err)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
