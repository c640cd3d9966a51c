// Package existing runs trials on a cluster that is there already: any kubeconfig, with a context that is named explicitly.
//
// The cluster is taken to have other users. Everything is checked before anything is made; then a trial works only in namespaces
// that it made and labelled, and everything that goes through the cluster's access passes a guard that refuses to change
// anything else, for faults and agents alike. What a run made is removed by its label, also after the run was killed.
package existing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/workloads"
)

// Provider implements cluster.Provider. It has one cluster at a time, and keeps Chaos Mesh, where it had to install it, and its
// claim on the cluster until Close. The fields are set before the first call; methods are safe for concurrent use.
type Provider struct {
	// Kubeconfig is the file; empty means the files that KUBECONFIG names, then ~/.kube/config. It is only read.
	Kubeconfig string
	// Context is the name of the context. There is no default: the current context is never used.
	Context string
	// AllowContext lets a context be used whose names look like production.
	AllowContext bool
	// AllowCordon lets agents cordon nodes. What they have cordoned takes pods again after the trial.
	AllowCordon bool
	// Registry is where the nodes pull the images of applications from, for example ghcr.io/me/exercise. objects.Registry, the name in the
	// manifests, says that they hold them already.
	Registry string
	// Chaos says how Chaos Mesh is installed where the cluster has none.
	Chaos chaosmesh.Options
	// Apps are the applications that will be deployed, one at a time: there must be room and rights for each. Namespaces are
	// those that they will be in, besides their own.
	Apps       []*workloads.Definition
	Namespaces []string
	// Clock tells the time; nil means the real one. Log takes what is worth telling; nil discards it.
	Clock clock.WithTicker
	Log   *slog.Logger

	mesh mesh // nil means package chaosmesh

	mu      sync.Mutex
	session *session
	current *Cluster // nil between trials
}

var (
	_ cluster.Provider  = (*Provider)(nil)
	_ cluster.Capable   = (*Provider)(nil)
	_ cluster.Limited   = (*Provider)(nil)
	_ cluster.Describer = (*Provider)(nil)
	_ cluster.Keeper    = (*Provider)(nil)
)

// Capabilities implements cluster.Capable. Nodes of somebody else's cluster do not fail for an exercise, and what is not in the
// trial's namespaces is left alone. What Chaos Mesh can do there is its own matter; where a run installs it, it has no DNS server. What the kernels
// of the nodes can do shows when a fault is injected only: to try it beforehand takes rights on nodes that a run has not and does not want.
func (p *Provider) Capabilities() []string {
	out := []string{faults.HTTPChaos, faults.IOChaos, faults.Netem, faults.TBF}
	if p.AllowCordon {
		out = append(out, faults.NodeScheduling)
	}
	return out
}

// MaxClusters implements cluster.Limited: the namespaces of a trial have fixed names.
func (*Provider) MaxClusters() int { return 1 }

// Up implements cluster.Provider. The first call checks the cluster, claims it for this process, and installs Chaos Mesh where
// there is none. An error of the checks has party infra and says everything that is wrong; nothing was made then.
func (p *Provider) Up(ctx context.Context, want cluster.Spec) (cluster.Cluster, error) {
	c, err := p.up(ctx, want)
	if err != nil {
		if errs.PartyOf(err) == "" {
			err = errs.With(errs.Infra, err)
		}
		return nil, fmt.Errorf("use existing cluster: %w", err)
	}
	return c, nil
}

func (p *Provider) up(ctx context.Context, want cluster.Spec) (*Cluster, error) {
	if len(want.NodeGroups) > 0 {
		return nil, errs.Hint(errs.Newf(errs.Usage, "a cluster file describes nodes, and this cluster has its own"), "leave the cluster file out")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil && !p.current.ended {
		return nil, errs.Newf(errs.Infra, "context %s is in use by another trial of this run", p.Context)
	}
	if p.session == nil {
		s, err := p.begin(ctx)
		if err != nil {
			return nil, err
		}
		p.session = s
	}
	s := p.session
	if want.Nodes > s.nodes {
		return nil, errs.Newf(errs.Infra, "%d nodes are wanted, and context %s has %d that take pods", want.Nodes, p.Context, s.nodes)
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	p.current = newCluster(p, s)
	return p.current, nil
}

// Close implements cluster.Keeper: it removes what trials have left, Chaos Mesh where this provider installed it, and the claim.
func (p *Provider) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil {
		return nil
	}
	if err := p.session.end(ctx); err != nil {
		return errs.With(errs.Infra, errs.Hint(fmt.Errorf("leave existing cluster: %w", err), "remove it with: %s", p.cleanUpCommand()))
	}
	p.session, p.current = nil, nil
	return nil
}

// begin checks the cluster and takes it.
func (p *Provider) begin(ctx context.Context) (*session, error) {
	in, checks, err := p.inspect(ctx)
	if err != nil {
		return nil, err
	}
	if err := CheckError(p.Context, checks); err != nil {
		return nil, err
	}
	s, err := newSession(p, in)
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "using an existing cluster", "context", in.target.Context, "server", in.target.Server)
	if err := s.begin(ctx, in.chaosAt); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer cancel()
		return nil, errors.Join(err, s.end(after))
	}
	return s, nil
}

func (p *Provider) clock() clock.WithTicker {
	if p.Clock == nil {
		return clock.RealClock{}
	}
	return p.Clock
}

func (p *Provider) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

// newOwner is the value of the label on what one provider makes.
func newOwner() string { return "run-" + random.Hex(6) }
