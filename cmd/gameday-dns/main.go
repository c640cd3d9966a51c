// Command gameday-dns runs the add-ons of a cluster as containers: the cluster DNS server, the ingress controller and the cache
// operator. It is a binary of its own because they link a Kubernetes client, which the services of an application do without.
package main

import (
	"os"

	operator "github.com/gameday-bench/gameday/workloads/cacheoperator/controller"
	"github.com/gameday-bench/gameday/workloads/dns"
	"github.com/gameday-bench/gameday/workloads/ingress/controller"
	"github.com/gameday-bench/gameday/workloads/program"
)

func main() {
	var registry program.Registry
	registry.Register(dns.Image(), controller.Image(), operator.Image())
	os.Exit(program.Main(&registry, nil, os.Args[1:]))
}
