// Command gameday-mysql runs SQL stores. It is a binary of its own because the SQL engine costs every process that links it
// a quarter of a second and some memory at start. gameday-pod lists the image, has its clients, and starts this binary in its
// own place for the server.
package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld"
)

func main() {
	if slices.Equal(os.Args[1:], []string{"--images"}) {
		// It offers none of its own.
		fmt.Println("[]")
		return
	}
	var registry program.Registry
	registry.Register(mysqld.Image())
	os.Exit(program.Main(&registry, shell.Run, os.Args[1:]))
}
