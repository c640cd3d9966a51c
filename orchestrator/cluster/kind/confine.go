package kind

import (
	"cmp"
	"context"
	"net/netip"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// What kind gives to pods and Services where the configuration does not say.
const (
	defaultPodSubnet     = "10.244.0.0/16"
	defaultServiceSubnet = "10.96.0.0/16"
)

// confine keeps on nodes what is sent to a pod or a Service that is not there, or not yet known there: without it the default route takes
// such packets out of the machine. Networks with a proxy that takes every connection answer then, and a client that keeps its connection,
// as gRPC's do, speaks to that for ever in place of the Service whose address kube-proxy has learned since.
//
// The answers are those of real clusters: no route to a pod that is gone, and a refusal from a Service without endpoints. Both last until the
// container is started again; to confine a node once more changes nothing. A node that cannot be confined works where nobody answers outside:
// that is only logged.
func (c *Cluster) confine(ctx context.Context, nodes ...node) {
	for _, n := range nodes {
		for _, command := range confinement(c.layout.config.Networking) {
			if _, err := c.engine.run(ctx, append([]string{"exec", "--privileged", n.container}, command...)...); err != nil {
				c.log.WarnContext(ctx, "packets to pods and Services that are not there can leave a node", "node", n.name, "error", err)
			}
		}
	}
}

// confinement are the commands that confine a node. Routes to pods and to the pods of other nodes are narrower than the one made here, and
// win. What goes to a Service that kube-proxy knows has got the address of a pod before it is filtered, or, with IPVS, is the node's own
// address, whose route wins. With nftables kube-proxy drops what goes to other Services by itself.
func confinement(n v1alpha4.Networking) [][]string {
	pods, services := network(n.PodSubnet, defaultPodSubnet), network(n.ServiceSubnet, defaultServiceSubnet)
	out := [][]string{unreachable(pods)}
	switch cmp.Or(n.KubeProxyMode, v1alpha4.IPTablesProxyMode) {
	case v1alpha4.IPTablesProxyMode:
		for _, chain := range []string{"FORWARD", "OUTPUT"} {
			out = append(out, reject(chain, services))
		}
	case v1alpha4.IPVSProxyMode:
		out = append(out, unreachable(services))
	}
	return out
}

// network is a subnet of the configuration, which may be written with bits of a host. Routes must not have any.
func network(subnet, otherwise string) string {
	p, err := netip.ParsePrefix(cmp.Or(subnet, otherwise))
	if err != nil { // The configuration has been checked. The command says it.
		return subnet
	}
	return p.Masked().String()
}

func unreachable(subnet string) []string {
	return []string{"ip", "route", "replace", "unreachable", subnet}
}

// reject refuses what a chain sends to a subnet, by a rule that is there once.
func reject(chain, subnet string) []string {
	rule := chain + " --destination " + subnet + " --jump REJECT"
	return []string{"sh", "-c", "iptables --wait --check " + rule + " 2>/dev/null || iptables --wait --insert " + rule}
}
