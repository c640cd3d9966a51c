package existing

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

var (
	_ cluster.Cluster = (*Cluster)(nil)
	_ cluster.Tenant  = (*Cluster)(nil)
)

// Cluster is an existing cluster during one trial.
type Cluster struct {
	provider *Provider
	session  *session
	claim    *claim
	rest     *rest.Config
	ended    bool // Down was called; guarded by the provider's lock
}

func newCluster(p *Provider, s *session) *Cluster {
	config := rest.CopyConfig(s.rest)
	config.Wrap(newWarden(s).wrap)
	return &Cluster{provider: p, session: s, claim: s.claim, rest: config}
}

// Name implements cluster.Cluster: it is the context's name.
func (c *Cluster) Name() string { return c.session.target.Context }

// RESTConfig implements cluster.Cluster. Whatever goes through it is refused where it would change something that is not the
// trial's.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.rest) }

// Kubeconfig implements cluster.Cluster. It is for people, and nothing guards it: it gives the access that the context has.
func (c *Cluster) Kubeconfig() string { return c.session.kubeconfig() }

// Done implements cluster.Cluster: the cluster is lost when the API server was out of reach for a minute, or when somebody has
// taken the claim away.
func (c *Cluster) Done() <-chan struct{} { return c.claim.broken }

// Err implements cluster.Cluster.
func (c *Cluster) Err() error { return c.claim.lost() }

// Tenancy implements cluster.Tenant.
func (c *Cluster) Tenancy() cluster.Tenancy {
	return cluster.Tenancy{Registry: c.provider.Registry, ChaosNamespace: Home, Hidden: []string{c.session.chaosIn}}
}

// Down implements cluster.Cluster: everything that was made for the trial is removed, and nodes that an agent has cordoned take
// pods again. Chaos Mesh and the claim stay until the provider's Close.
func (c *Cluster) Down(ctx context.Context) error {
	p := c.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != c {
		return nil // It is down, and what is there now may be another trial's.
	}
	c.ended = true
	if err := c.session.clean(ctx); err != nil {
		err = fmt.Errorf("clean up existing cluster %s: %w", c.Name(), err)
		return errs.With(errs.Infra, errs.Hint(err, "remove it with: %s", p.cleanUpCommand()))
	}
	p.current = nil
	return nil
}
