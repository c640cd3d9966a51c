package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/networkpolicy"
)

// podNetwork is the node's network as the container runtime uses it: what a CNI plugin does.
type podNetwork struct {
	*network.Network
	policies *networkpolicy.Controller
}

// AddPod puts a pod on the network. Policies hold before its first container starts.
func (n podNetwork) AddPod(ctx context.Context, pod cri.PodNetwork) (cri.Pod, error) {
	cfg, err := podConfig(pod)
	if err != nil {
		return nil, err
	}
	p, err := n.Network.AddPod(cfg)
	if err != nil || pod.HostNetwork {
		return p, err
	}
	known := networkpolicy.Pod{Addr: p.IP(), Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels}
	if err := n.policies.Admit(ctx, known); err != nil {
		return nil, fmt.Errorf("isolate pod: %w", errors.Join(err, n.RemovePod(pod.ID)))
	}
	return p, nil
}

// podConfig reads a pod's annotations, host ports and sysctls. On the host network none of them counts.
func podConfig(pod cri.PodNetwork) (network.PodConfig, error) {
	cfg := network.PodConfig{ID: pod.ID, HostNetwork: pod.HostNetwork}
	if pod.HostNetwork {
		return cfg, nil
	}
	var err error
	if cfg.IngressRate, cfg.EgressRate, err = bandwidth(pod.Annotations); err != nil {
		return cfg, err
	}
	if cfg.HostPorts, err = hostPorts(pod.HostPorts); err != nil {
		return cfg, err
	}
	return cfg, setSysctls(&cfg, pod.Sysctls)
}

// hostPorts reads the host ports of a pod. Those of SCTP lead nowhere, as the network has none.
func hostPorts(ports []cri.HostPort) ([]network.HostPort, error) {
	var out []network.HostPort
	for _, p := range ports {
		if p.Protocol == "SCTP" {
			continue
		}
		port := network.HostPort{Protocol: p.Protocol, Port: uint16(p.Port), To: uint16(p.To)}
		if p.Address != "" {
			addr, err := netip.ParseAddr(p.Address)
			if err != nil {
				return nil, fmt.Errorf("map host port %d: invalid host address %q", p.Port, p.Address)
			}
			port.Address = addr.Unmap()
		}
		out = append(out, port)
	}
	return out, nil
}

// RemovePod takes a pod off the network.
func (n podNetwork) RemovePod(id string) error {
	if p, ok := n.Pod(id); ok && p.IP() != n.Host().IP() {
		n.policies.Forget(p.IP())
	}
	return n.Network.RemovePod(id)
}

func (n podNetwork) traffic(sandboxID string) (network.Traffic, bool) {
	pod, ok := n.Pod(sandboxID)
	if !ok {
		return network.Traffic{}, false
	}
	return pod.Traffic(), true
}
