package controlplane

import (
	"net/http"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/egress"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// routeChecks sends the requests of Chaos Mesh's status checks into the cluster's network, where the controllers would be pods. Their client is
// made of the default transport, and nothing else in this process uses that: the components of Kubernetes have transports of their own.
func routeChecks(c *spec.Cluster) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = egress.NewNamedDialer(egress.NewDialer(c), addons.ChaosNamespace).DialContext
	http.DefaultTransport = transport
}
