package embedded

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up, ip(7)): otherwise one
// of those could sit on a port between its choice and its use.
const firstPort, lastPort = 20000, 32700

// lease is a cluster's right to its loopback ports, against other clusters of the machine: also before its processes listen, and while
// one of them is being restarted. Each port has an abstract unix socket, which ends with the process that holds it in whatever way.
type lease []net.Listener

// leasePorts chooses free loopback ports for the cluster. Another program, which knows of no lease, can still take one before the cluster's
// process listens; that one then fails to start with this reason.
func leasePorts(c *spec.Cluster) (lease, error) {
	targets := []*int{&c.Ports.APIServer, &c.Ports.EtcdClient, &c.Ports.EtcdPeer, &c.Ports.Webhook, &c.Ports.ChaosDaemon}
	for i := range c.Nodes {
		targets = append(targets, &c.Nodes[i].KubeletPort)
	}
	var (
		held lease
		last error
	)
	for range 100 * len(targets) {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := leasePort(port)
		if err != nil {
			last = err
			continue
		}
		held = append(held, l)
		*targets[len(held)-1] = port
		if len(held) == len(targets) {
			return held, nil
		}
	}
	held.end()
	return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("find free loopback ports: %w", last)),
		"free some of the ports %d to %d on 127.0.0.1", firstPort, lastPort)
}

// leasePort leases one port if nobody has leased it and nobody listens on it.
func leasePort(port int) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("@gameday/port/%d", port), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("lease port %d: %w", port, err)
	}
	probe, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // To take a loopback port is not to wait.
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("try port %d: %w", port, err)
	}
	probe.Close()
	return l, nil
}

// end gives the ports back.
func (h lease) end() {
	for _, l := range h {
		l.Close()
	}
}
