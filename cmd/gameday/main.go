// Command gameday runs benchmarks of agents that operate cloud services.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(cli.System())) }
