package egress

import (
	"fmt"
	"path/filepath"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// Socket is the unix socket of the cluster's proxy.
func Socket(c *spec.Cluster) string { return filepath.Join(c.Dir, "s", "egress") }

// Config is the EgressSelectorConfiguration that sends the API server's connections into the cluster through socket.
// Connections to etcd and to the control plane itself are not named and so stay direct.
func Config(socket string) string {
	return fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %q
`, socket)
}
