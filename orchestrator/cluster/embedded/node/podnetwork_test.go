package node

import (
	"testing"

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
	_, err = podConfig(cri.PodNetwork{Sysctls: map[string]string{localPortRange: "many"}})
	require.ErrorContains(t, err, "ip_local_port_range: invalid argument")
}
