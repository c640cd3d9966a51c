package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

const localPortRange = "net.ipv4.ip_local_port_range"

// sysctls are those of a pod that the network has; the kubelet lets others through that it takes for safe, and they have no effect. Each says
// whether it takes a value.
var sysctls = map[string]func(cfg *network.PodConfig, value string) bool{
	localPortRange: func(cfg *network.PodConfig, value string) bool {
		_, err := fmt.Sscanf(value, "%d %d", &cfg.LocalPorts.First, &cfg.LocalPorts.Last)
		return err == nil
	},
	"net.ipv4.tcp_fin_timeout": func(cfg *network.PodConfig, value string) bool {
		seconds := 0
		_, err := fmt.Sscanf(value, "%d", &seconds)
		cfg.TCP.FinTimeout = time.Duration(seconds) * time.Second
		return err == nil && seconds > 0
	},
	"net.ipv4.tcp_rmem": func(cfg *network.PodConfig, value string) bool { return bufferSizes(&cfg.TCP.Receive, value) },
	"net.ipv4.tcp_wmem": func(cfg *network.PodConfig, value string) bool { return bufferSizes(&cfg.TCP.Send, value) },
}

func bufferSizes(sizes *network.BufferSizes, value string) bool {
	_, err := fmt.Sscanf(value, "%d %d %d", &sizes.Min, &sizes.Default, &sizes.Max)
	return err == nil && sizes.Min > 0 && sizes.Min <= sizes.Default && sizes.Default <= sizes.Max
}

// setSysctls sets those that the network has. What the kernel would not take fails in the runtime's words.
func setSysctls(cfg *network.PodConfig, values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if set, ok := sysctls[name]; ok && !set(cfg, values[name]) {
			return fmt.Errorf("write sysctl key %s: invalid argument", name)
		}
	}
	return nil
}
