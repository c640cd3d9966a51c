// Command gameday-dns runs the cluster DNS server as a container. It is a binary of its own because it links a Kubernetes client, which
// the services of an application do without.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/workloads/dns"
	"github.com/gameday-bench/gameday/workloads/program"
)

func main() {
	var registry program.Registry
	registry.Register(dns.Image())
	os.Exit(program.Main(&registry, nil, os.Args[1:]))
}
