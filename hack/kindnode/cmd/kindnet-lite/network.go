package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// command runs a program on the node.
type command func(ctx context.Context, args ...string) error

// network is one node's part of the pod network.
type network struct {
	hostIP string
	// podSubnet has the pods of all nodes.
	podSubnet string
	// configs is the directory where containerd looks for CNI configurations.
	configs string
	mtu     int
	run     command
	// routes are those that this process has made: the nodes of the pods' networks.
	routes map[string]string
}

// newNetwork checks what the environment said. podSubnets may have an IPv6 network beside the IPv4 one, with a comma.
func newNetwork(hostIP, podSubnets, configs string, run command) (*network, error) {
	if net.ParseIP(hostIP).To4() == nil {
		return nil, fmt.Errorf("HOST_IP is %q: want an IPv4 address", hostIP)
	}
	for _, subnet := range strings.Split(podSubnets, ",") {
		if ip, _, err := net.ParseCIDR(strings.TrimSpace(subnet)); err == nil && ip.To4() != nil {
			return &network{
				hostIP: hostIP, podSubnet: strings.TrimSpace(subnet), configs: configs, run: run, routes: map[string]string{},
			}, nil
		}
	}
	return nil, fmt.Errorf("POD_SUBNET is %q: want an IPv4 network", podSubnets)
}

// sync makes the network what the nodes want.
func (n *network) sync(ctx context.Context, nodes []*corev1.Node) error {
	if err := n.masquerade(ctx); err != nil {
		return err
	}
	want := map[string]string{}
	for _, other := range nodes {
		ip := address(other)
		switch {
		case other.Spec.PodCIDR == "" || ip == "":
			// It is about to join.
		case ip == n.hostIP:
			if err := n.configure(other.Spec.PodCIDR); err != nil {
				return err
			}
		default:
			want[other.Spec.PodCIDR] = ip
		}
	}
	for pods, via := range want {
		// Also those that should be there: it costs little, and heals what somebody took away.
		if err := n.run(ctx, "ip", "route", "replace", pods, "via", via); err != nil {
			return fmt.Errorf("route to %s: %w", pods, err)
		}
		n.routes[pods] = via
	}
	for pods := range n.routes {
		if _, still := want[pods]; still {
			continue
		}
		if err := n.run(ctx, "ip", "route", "del", pods); err != nil {
			slog.Warn("cannot remove the route to a node that has gone", "pods", pods, "error", err)
		}
		delete(n.routes, pods)
	}
	return nil
}

// The chain with what is masqueraded: it has the name that kind's own has.
const (
	chain       = "KIND-MASQ-AGENT"
	postrouting = "POSTROUTING"
)

// masquerade gives packets that leave the pod network the node's address.
func (n *network) masquerade(ctx context.Context) error {
	// It fails where the chain exists. If it fails for another reason, the next command does, too.
	_ = n.run(ctx, "iptables", "-w", "-t", "nat", "-N", chain)
	for _, rule := range [][]string{
		{chain, "-d", n.podSubnet, "-j", "RETURN"},
		{chain, "-j", "MASQUERADE"},
		{postrouting, "-s", n.podSubnet, "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", chain},
	} {
		if n.run(ctx, append([]string{"iptables", "-w", "-t", "nat", "-C"}, rule...)...) == nil {
			continue
		}
		if err := n.run(ctx, append([]string{"iptables", "-w", "-t", "nat", "-A"}, rule...)...); err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
	}
	return nil
}

// configFile is the name of the configuration: containerd takes the first.
const configFile = "10-kindnet.conflist"

// configure tells containerd how to connect the node's pods. The node is ready as soon as the file is there.
func (n *network) configure(pods string) error {
	type object = map[string]any
	text, err := json.MarshalIndent(object{
		"cniVersion": "0.3.1", "name": "kindnet",
		"plugins": []object{
			{
				"type": "ptp", "ipMasq": false, "mtu": n.mtu,
				"ipam": object{
					"type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": []object{{"dst": "0.0.0.0/0"}},
					"ranges": [][]object{{{"subnet": pods}}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode CNI configuration: %w", err)
	}
	file := filepath.Join(n.configs, configFile)
	old, err := os.ReadFile(file)
	if err == nil && string(old) == string(text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read CNI configuration: %w", err)
	}
	if err := os.MkdirAll(n.configs, 0o755); err != nil {
		return fmt.Errorf("write CNI configuration: %w", err)
	}
	half := file + ".partial"
	if err := os.WriteFile(half, text, 0o644); err != nil {
		return fmt.Errorf("write CNI configuration: %w", err)
	}
	if err := os.Rename(half, file); err != nil {
		return fmt.Errorf("write CNI configuration: %w", err)
	}
	slog.Info("wrote CNI configuration", "pods", pods)
	return nil
}
