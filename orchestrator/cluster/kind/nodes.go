package kind

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/readiness"
)

// backLimit is how long a node may take to be Ready again: systemd, the container runtime and the kubelet start in it, and a busy machine
// takes its time.
const backLimit = 3 * time.Minute

// CrashNode implements cluster.NodeController: the node's container is killed, with everything in it.
func (c *Cluster) CrashNode(ctx context.Context, name string) error {
	return c.stop(ctx, name, "crash", "kill")
}

// HangNode implements cluster.NodeController: the node's container is frozen, with everything in it.
func (c *Cluster) HangNode(ctx context.Context, name string) error {
	return c.stop(ctx, name, "hang", "pause")
}

// stop does something to a node that ends its work. The watch knows before it happens.
func (c *Cluster) stop(ctx context.Context, name, what, verb string) error {
	n, err := c.worker(name)
	if err != nil {
		return fmt.Errorf("%s node: %w", what, err)
	}
	c.expect(name, true)
	if _, err := c.engine.run(ctx, verb, n.container); err != nil {
		if states, lookErr := c.engine.states(ctx, []string{n.container}); lookErr == nil && states[n.container].running() {
			c.expect(name, false) // It goes on; when it ends now, that is a breakdown.
		}
		return c.engine.explain(fmt.Errorf("%s node %s: %w", what, name, err))
	}
	return nil
}

// RestartNode implements cluster.NodeController. It returns when the node is Ready again and its kubelet has said so anew.
func (c *Cluster) RestartNode(ctx context.Context, name string) error {
	n, err := c.worker(name)
	if err != nil {
		return fmt.Errorf("restart node: %w", err)
	}
	states, err := c.engine.states(ctx, []string{n.container})
	if err != nil {
		return c.engine.explain(fmt.Errorf("restart node %s: %w", name, err))
	}
	verb := "start"
	switch s := states[n.container]; {
	case s.running():
		verb = ""
	case s.Paused || strings.EqualFold(s.Status, "paused"):
		verb = "unpause"
	}
	since := c.clock.Now()
	if verb != "" {
		if _, err := c.engine.run(ctx, verb, n.container); err != nil {
			return c.engine.explain(fmt.Errorf("restart node %s: %w", name, err))
		}
	}
	c.confine(ctx, n) // Before its pods are started.
	err = until(ctx, c.clock, backLimit, func(ctx context.Context) (string, error) { return c.notBack(ctx, name, since) })
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("restart node %s: %w", name, err))
	}
	c.confine(ctx, n) // Once more: while it starts, a node puts back the rules that it had read a moment before.
	c.renameHosts(ctx, n)
	c.expect(name, false)
	return nil
}

// notBack says what keeps a node from being back, or "". That it was Ready before does not count: its lease has to be renewed since.
func (c *Cluster) notBack(ctx context.Context, name string, since time.Time) (string, error) {
	n, err := c.kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("get node: %w", err)
	}
	if !readiness.Node(n) {
		return "it is not Ready: " + whyNot(n), nil
	}
	lease, err := c.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("get lease: %w", err)
	}
	if !renewed(lease, since) {
		return "its kubelet has not renewed its lease", nil
	}
	return "", nil
}

// renewed is true for a lease that was renewed after a time, for which a second is given: the engine may be on another machine.
func renewed(lease *coordinationv1.Lease, since time.Time) bool {
	at := lease.Spec.RenewTime
	return at != nil && at.After(since.Add(-time.Second))
}

// StopKubelet implements cluster.KubeletController.
func (c *Cluster) StopKubelet(ctx context.Context, name string) error {
	return c.kubelet(ctx, name, "stop")
}

// StartKubelet implements cluster.KubeletController.
func (c *Cluster) StartKubelet(ctx context.Context, name string) error {
	return c.kubelet(ctx, name, "start")
}

func (c *Cluster) kubelet(ctx context.Context, name, verb string) error {
	n, err := c.worker(name)
	if err != nil {
		return fmt.Errorf("%s kubelet: %w", verb, err)
	}
	if _, err := c.engine.run(ctx, "exec", "--privileged", n.container, "systemctl", verb, "kubelet"); err != nil {
		return c.engine.explain(fmt.Errorf("%s kubelet of node %s: %w", verb, name, err))
	}
	return nil
}

// worker finds a node that may fail. The error is of party usage.
func (c *Cluster) worker(name string) (node, error) {
	i := slices.IndexFunc(c.layout.nodes, func(n node) bool { return n.name == name })
	switch {
	case i < 0:
		return node{}, errs.Newf(errs.Usage, "find node %q in cluster %q: no such node", name, c.name)
	case !c.layout.nodes[i].worker:
		return node{}, errs.Hint(errs.Newf(errs.Usage, "find node %q in cluster %q: it holds the control plane", name, c.name), "name a worker node")
	}
	return c.layout.nodes[i], nil
}

// expect says whether a node is one that we have stopped. One that is back may have been started again.
func (c *Cluster) expect(name string, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected[name] = stopped
	delete(c.started, name)
}

// CollectLogs implements cluster.LogCollector: what kind exports, the system's journal of each node among it. A node that is down has none, which
// is an error, and the others' are there.
func (c *Cluster) CollectLogs(ctx context.Context, dir string) error {
	err := bounded(ctx, c.full, c.layout.containers(), func() error { return c.kind.CollectLogs(c.full, dir) })
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("collect logs of kind cluster %s: %w", c.name, err))
	}
	return nil
}
