package programtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	system, err := program.System(&program.Image{Repository: "registry.local/test", Tags: []string{"1"}}, nil)
	require.NoError(t, err)
	var opened []string
	n := &programtest.Loopback{Network: system.Net, Opened: func(socket string) { opened = append(opened, socket) }}
	require.Empty(t, n.Address("tcp:80"))

	l, err := n.Listen(t.Context(), "tcp", ":80")
	require.NoError(t, err)
	defer l.Close()
	p, err := n.ListenPacket(t.Context(), "udp", "0.0.0.0:53")
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, []string{"tcp:80", "udp:53"}, opened)
	require.Equal(t, l.Addr().String(), n.Address("tcp:80"))
	require.Equal(t, p.LocalAddr().String(), n.Address("udp:53"))

	for network, address := range map[string]string{"tcp": "pod:80", "udp": "10.0.0.1:53"} {
		conn, err := n.DialContext(t.Context(), network, address)
		require.NoError(t, err, network)
		require.NoError(t, conn.Close())
	}
	conn, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err, "a port that no program has asked for is this machine's")
	require.NoError(t, conn.Close())
}
