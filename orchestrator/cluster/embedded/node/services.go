package node

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/nodeexporter"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/serviceproxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// startServices starts what runs beside the kubelet on every node until ctx ends: the service proxy, the size of the connection tracking table, the
// figures of the node, the network policies and the chaos daemon.
func startServices(ctx context.Context, cl *clients, cluster *spec.Cluster, n spec.Node, m *machine, pods podNetwork, rt *cri.Runtime, log *slog.Logger) {
	run := func(name string, serve func(log *slog.Logger) error) {
		log := log.With("component", name)
		go func() {
			if err := serve(log); err != nil && ctx.Err() == nil {
				log.Error("ended early", "error", err)
			}
		}()
	}
	run("serviceproxy", func(log *slog.Logger) error { return serviceproxy.Run(ctx, cl.proxy, pods.Network, n.Name, log) })
	run("conntrack", func(log *slog.Logger) error {
		return serviceproxy.FollowConntrack(ctx, cl.proxy, pods.Network, m.cores, log)
	})
	run("nodeexporter", func(log *slog.Logger) error {
		l, err := pods.Host().Listen("tcp", netip.AddrPortFrom(n.Address, nodeexporter.Port).String())
		if err != nil {
			return err
		}
		return nodeexporter.Serve(ctx, l, pods.Network, log)
	})
	run("networkpolicy", func(*slog.Logger) error { return pods.policies.Run(ctx) })
	run("chaosdaemon", func(log *slog.Logger) error { return serveChaos(ctx, cluster, n, pods.Network, rt, log) })
}
