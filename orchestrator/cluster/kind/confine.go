package kind

import (
	"cmp"
	"context"

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
// container is started again. A node that cannot be confined works where nobody answers outside: that is only logged.
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
// win. What goes to a Service that kube-proxy knows has got the address of a pod before it is filtered; of kube-proxy's modes only the
// one with iptables lets the rest go by.
func confinement(n v1alpha4.Networking) [][]string {
	pods, services := cmp.Or(n.PodSubnet, defaultPodSubnet), cmp.Or(n.ServiceSubnet, defaultServiceSubnet)
	out := [][]string{{"ip", "route", "replace", "unreachable", pods}}
	if mode := cmp.Or(n.KubeProxyMode, v1alpha4.IPTablesProxyMode); mode != v1alpha4.IPTablesProxyMode {
		return out
	}
	for _, chain := range []string{"FORWARD", "OUTPUT"} {
		out = append(out, []string{"iptables", "--wait", "--insert", chain, "--destination", services, "--jump", "REJECT"})
	}
	return out
}
