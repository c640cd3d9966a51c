// Command gameday-samples has the images of one of Kubernetes' own tests, which gameday does not ship: etcd and the sample API
// server. Each is the real server in a container of the embedded cluster. `make conformance` builds it and names it in
// GAMEDAY_PROGRAMS.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/hack/conformance/samples/etcd"
	"github.com/gameday-bench/gameday/hack/conformance/samples/wardle"
	"github.com/gameday-bench/gameday/workloads/program"
)

// images are what the binary offers. None of them has a shell.
func images() []program.Image { return []program.Image{etcd.Image(), wardle.Image()} }

func main() {
	var registry program.Registry
	registry.Register(images()...)
	os.Exit(program.Main(&registry, nil, os.Args[1:]))
}
