package node

import (
	"context"
	"log/slog"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/serviceproxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// startServices starts what runs beside the kubelet on every node until ctx ends: the service proxy and the chaos daemon.
func startServices(ctx context.Context, cl *clients, cluster *spec.Cluster, n spec.Node, netw *network.Network, rt *cri.Runtime, log *slog.Logger) {
	run := func(name string, serve func(log *slog.Logger) error) {
		log := log.With("component", name)
		go func() {
			if err := serve(log); err != nil && ctx.Err() == nil {
				log.Error("ended early", "error", err)
			}
		}()
	}
	run("serviceproxy", func(log *slog.Logger) error { return serviceproxy.Run(ctx, cl.main, netw, n.Name, log) })
	run("chaosdaemon", func(log *slog.Logger) error { return serveChaos(ctx, cluster, n, netw, rt, log) })
}
