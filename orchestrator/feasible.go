package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// feasible says whether the clusters of a provider can have the faults of a problem. The error, of party usage, names each
// capability that is missing. An unknown provider is for others to report.
func (r *Runner) feasible(p *resolved, provider string) error {
	known, ok := r.Providers[provider]
	if !ok {
		return nil
	}
	var all []error
	for _, ref := range p.truth.Faults {
		fault, err := r.Faults.Get(ref.ID)
		if err != nil {
			all = append(all, err)
			continue
		}
		for _, name := range cluster.Missing(known, fault.Requires) {
			meaning := faults.Meaning(name)
			if e, ok := known.(cluster.Explainer); ok && e.WhyNot(name) != "" {
				meaning += "; here " + e.WhyNot(name)
			}
			err := errs.Newf(errs.Usage, "problem %s cannot run on cluster provider %s: its fault %s requires %s (%s)",
				p.entry.ID, provider, ref.ID, name, meaning)
			all = append(all, errs.Hint(err, "leave the problem out, or choose a --cluster that has %s: embedded has everything; for the others see docs/kind.md and docs/existing.md",
				name))
		}
	}
	return errors.Join(all...)
}

// fits says whether a provider can have as many clusters at a time as a run wants.
func fits(provider cluster.Provider, config RunConfig) error {
	limited, ok := provider.(cluster.Limited)
	if !ok || config.Concurrency <= limited.MaxClusters() {
		return nil
	}
	most := limited.MaxClusters()
	return errs.Hint(errs.Newf(errs.Usage, "run %d trials at a time: cluster provider %s can have %d at a time", config.Concurrency, config.Cluster, most),
		"lower --concurrency to %d", most)
}

// announce says which cluster a run uses, where that is somebody else's.
func (r *Runner) announce(config RunConfig) {
	if d, ok := r.Providers[config.Cluster].(cluster.Describer); ok {
		r.Observer.Event(Event{Time: r.now(), Type: Note, Message: "using " + d.Describe()})
	}
}

// releaseLimit bounds how long a provider may take to remove what it kept between trials: Chaos Mesh of a shared cluster, or
// the cluster itself.
const releaseLimit = 5 * time.Minute

// release lets the provider of a run go of what it kept between trials, also after an interruption.
func (r *Runner) release(ctx context.Context, config RunConfig) error {
	keeper, ok := r.Providers[config.Cluster].(cluster.Keeper)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	if err := keeper.Close(ctx); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("close cluster provider %s: %w", config.Cluster, err))
	}
	return nil
}
