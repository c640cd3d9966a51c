// Command gameday runs benchmarks of agents that operate cloud services.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
)

func main() {
	kubectl.ServeChild() // Does not return in a child.
	os.Exit(cli.Main(cli.System()))
}
