package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

func TestPodConfig(t *testing.T) {
	cfg, err := podConfig(cri.PodNetwork{
		ID: "x", Sysctls: map[string]string{localPortRange: "40000 40010", "kernel.shm_rmid_forced": "1"},
	})
	require.NoError(t, err)
	require.Equal(t, network.PodConfig{ID: "x", LocalPorts: network.PortRange{First: 40000, Last: 40010}}, cfg)
	cfg, err = podConfig(cri.PodNetwork{
		HostPorts: []cri.HostPort{
			{Protocol: "TCP", Port: 8080, To: 80}, {Protocol: "UDP", Address: "127.0.0.1", Port: 53, To: 5353}, {Protocol: "SCTP", Port: 1, To: 1},
		},
		Sysctls: map[string]string{"net.ipv4.tcp_fin_timeout": "5", "net.ipv4.tcp_rmem": "4096 8192\t16384"},
	})
	require.NoError(t, err)
	require.Equal(t, network.PodConfig{
		HostPorts: []network.HostPort{{Protocol: "TCP", Port: 8080, To: 80}, {Protocol: "UDP", Address: netip.MustParseAddr("127.0.0.1"), Port: 53, To: 5353}},
		TCP:       network.TCPSettings{FinTimeout: 5 * time.Second, Receive: network.BufferSizes{Min: 4096, Default: 8192, Max: 16384}},
	}, cfg)
	cfg, err = podConfig(cri.PodNetwork{HostNetwork: true, HostPorts: []cri.HostPort{{Protocol: "TCP", Port: 80, To: 80}}})
	require.NoError(t, err)
	require.Empty(t, cfg.HostPorts, "the pod is on the node itself")
	for name, value := range map[string]string{"net.ipv4.tcp_fin_timeout": "0", "net.ipv4.tcp_wmem": "9 8 7", "net.ipv4.tcp_rmem": "1 2"} {
		_, err = podConfig(cri.PodNetwork{Sysctls: map[string]string{name: value}})
		require.EqualError(t, err, "write sysctl key "+name+": invalid argument")
	}
	_, err = podConfig(cri.PodNetwork{HostPorts: []cri.HostPort{{Protocol: "TCP", Address: "here", Port: 80, To: 80}}})
	require.ErrorContains(t, err, `invalid host address "here"`)
	_, err = podConfig(cri.PodNetwork{Sysctls: map[string]string{localPortRange: "many"}})
	require.ErrorContains(t, err, "ip_local_port_range: invalid argument")
}
