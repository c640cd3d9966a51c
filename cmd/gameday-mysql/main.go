// Command gameday-mysql runs SQL stores as containers. It is a binary of its own because the SQL engine costs every process
// that links it a quarter of a second and some memory at start.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
)

func main() {
	var registry program.Registry
	registry.Register(sql.Images()...)
	os.Exit(program.Main(&registry, shell.Run, os.Args[1:]))
}
