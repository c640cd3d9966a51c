// Command gameday-dns runs the network add-ons of a cluster as containers: the cluster DNS server and the ingress controller. It is a binary
// of its own because they link a Kubernetes client, which the services of an application do without.
package main

import (
	"os"

	"github.com/gameday-bench/gameday/workloads/dns"
	"github.com/gameday-bench/gameday/workloads/ingress/controller"
	"github.com/gameday-bench/gameday/workloads/program"
)

func main() {
	var registry program.Registry
	registry.Register(dns.Image(), controller.Image())
	os.Exit(program.Main(&registry, nil, os.Args[1:]))
}
