package network

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLocalPortsRunOut: a pod has so many connections to one address as it has local ports, and the next one gets EADDRNOTAVAIL.
func TestLocalPortsRunOut(t *testing.T) {
	n := testNetwork(t, nil)
	p, err := n.AddPod(PodConfig{ID: "few", LocalPorts: PortRange{40000, 40002}})
	require.NoError(t, err)
	q := addPod(t, n, "q")
	echo(t, container(t, q), ":7")
	echo(t, container(t, q), ":8")
	client := container(t, p)
	ports := map[string]bool{}
	for range 3 {
		conn, err := client.DialContext(testContext(t), "tcp", q.IP().String()+":7")
		require.NoError(t, err)
		defer conn.Close()
		ports[conn.LocalAddr().String()] = true
	}
	for port := 40000; port <= 40002; port++ {
		require.Contains(t, ports, fmt.Sprintf("%s:%d", p.IP(), port))
	}
	_, err = client.DialContext(testContext(t), "tcp", q.IP().String()+":7")
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	reaches(t, client, q.IP().String()+":8", "another address has its own")
	_, err = n.AddPod(PodConfig{ID: "none", LocalPorts: PortRange{5, 4}})
	require.ErrorContains(t, err, "local port range")
}
