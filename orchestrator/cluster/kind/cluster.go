package kind

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/scratch"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// Cluster is one kind cluster. Methods are safe for concurrent use.
type Cluster struct {
	name string
	// full is what kind calls the cluster.
	full   string
	engine engine
	layout *layout
	kind   *kindcluster.Provider
	rest   *rest.Config
	kube   kubernetes.Interface
	dir    *scratch.Dir
	lease  *networkLease
	log    *slog.Logger
	clock  clock.WithTicker
	// digests are those of the programs' images, by reference; set before the cluster is handed out.
	digests map[string]string
	// unsettled is true from when kind begins to make containers until it has made them.
	unsettled bool

	done chan struct{}
	down func() error
	// unwatch ends the watch over the containers and waits for its end.
	unwatch func()

	mu       sync.Mutex
	expected map[string]bool // nodes that we have stopped ourselves, by name
	// started is when the container of each node was started, by name, as it was first seen.
	started map[string]string
	err     error
}

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.name }

// RESTConfig implements cluster.Cluster.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.rest) }

// Kubeconfig implements cluster.Cluster. It is a file of our own: the user's is never touched.
func (c *Cluster) Kubeconfig() string { return record.Kubeconfig(c.dir.Path()) }

// Done implements cluster.Cluster.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err implements cluster.Cluster: it names the node whose container has stopped, or says that the engine does not answer any more.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Down implements cluster.Cluster. It has deadlines of its own, so that a phase that is over keeps nothing from being removed.
func (c *Cluster) Down(context.Context) error {
	if err := c.down(); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("take down kind cluster %s: %w", c.name, err))
	}
	return nil
}

// tearDown removes the containers, then what is on this machine. The record goes also where containers are left: they are found by their
// label.
func (c *Cluster) tearDown() error {
	c.unwatch()
	ctx := context.Background()
	err := c.engine.remove(ctx, c.full, c.unsettled)
	c.lease.end()
	if err == nil {
		err = c.engine.pruneNetwork(ctx)
	}
	if err != nil {
		err = errs.Hint(c.engine.explain(err), "when %s answers again, run: gameday delete cluster %s", c.engine.name, c.name)
	}
	return errors.Join(err, c.dir.Remove())
}
