// Command gameday-prometheus runs the heavy programs of the monitoring stack as containers: Prometheus, its adapter for
// autoscalers, kube-state-metrics and metrics-server.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubestate"
	"github.com/gameday-bench/gameday/workloads/monitoring/metricsserver"
	"github.com/gameday-bench/gameday/workloads/monitoring/prometheus"
	"github.com/gameday-bench/gameday/workloads/monitoring/prometheusadapter"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

func main() {
	registry := program.Registry{Tools: shell.Names}
	registry.Register(prometheus.Image(), kubestate.Image(), metricsserver.Image(), prometheusadapter.Image())
	os.Exit(program.Main(&registry, shell.Run, os.Args[1:]))
}
