// Command gameday-pod runs the programs of containers: the services of the applications, caches, the load generator, the
// trace store. It is a container's process on the embedded cluster and an image's entrypoint elsewhere.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/workloads/apps/hotel"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
	"github.com/gameday-bench/gameday/workloads/monitoring/tracestore"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
	"github.com/gameday-bench/gameday/workloads/stores/cache"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
	"github.com/gameday-bench/gameday/workloads/tools"
)

func main() {
	registry := program.Registry{Tools: shell.Names}
	registry.Register(hotel.Images()...)
	registry.Register(cache.Images()...)
	registry.Register(sql.Image())
	registry.Register(tools.Images()...)
	registry.Register(traffic.Image(), tracestore.Image())
	os.Exit(program.Main(&registry, shell.Run, os.Args[1:]))
}
