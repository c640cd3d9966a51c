package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// lack is a capability that a fault requires and the clusters of a provider do not have.
type lack struct {
	fault, capability string
	// why is what the capability means and, where the provider knows, the reason.
	why string
}

func (l lack) String() string {
	return fmt.Sprintf("its fault %s requires %s (%s)", l.fault, l.capability, l.why)
}

// lacking returns what the faults of a problem require and the clusters of a provider lack, in the order of the faults. An unknown provider is
// for others to report.
func (r *Runner) lacking(p *resolved, provider string) ([]lack, error) {
	known, ok := r.Providers[provider]
	if !ok {
		return nil, nil // See above.
	}
	var out []lack
	var all []error
	for _, ref := range p.truth.Faults {
		fault, err := r.Faults.Get(ref.ID)
		if err != nil {
			all = append(all, err)
			continue
		}
		for _, name := range cluster.Missing(known, fault.Requires) {
			why := faults.Meaning(name)
			if e, ok := known.(cluster.Explainer); ok && e.WhyNot(name) != "" {
				why += "; here " + e.WhyNot(name)
			}
			out = append(out, lack{ref.ID, name, why})
		}
	}
	return out, errors.Join(all...)
}

// feasible says whether the clusters of a provider can have the faults of a problem. The error, of party usage, names each
// capability that is missing.
func (r *Runner) feasible(p *resolved, provider string) error {
	lacks, err := r.lacking(p, provider)
	all := []error{err}
	for _, l := range lacks {
		err := errs.Newf(errs.Usage, "problem %s cannot run on cluster provider %s: %s", p.entry.ID, provider, l)
		all = append(all, errs.Hint(err, "leave the problem out (run does it for all such with --skip-infeasible), or choose a --cluster that has %s: "+
			"embedded has everything; for the others see docs/kind.md and docs/existing.md", l.capability))
	}
	return errors.Join(all...)
}

// Infeasible returns which problems of a run its clusters cannot have, with the reasons, as far as the provider knows by now, in the order of the
// problems. It starts nothing. A problem that does not resolve is not among them: Run says what is wrong with it.
func (r *Runner) Infeasible(config RunConfig) []results.LeftOut {
	config.defaults()
	var out []results.LeftOut
	for _, id := range config.Problems {
		p, err := r.resolve(id, 0)
		if err != nil {
			continue // See above.
		}
		lacks, err := r.lacking(p, config.Cluster)
		if err != nil || len(lacks) == 0 {
			continue
		}
		var reasons []string
		for _, l := range lacks {
			reasons = append(reasons, l.String())
		}
		out = append(out, results.LeftOut{Problem: id, Reason: strings.Join(reasons, "; ")})
	}
	return out
}

// leaveOut takes what is infeasible out of the problems, where that is wanted. Nothing that is left is an error of party usage.
func (r *Runner) leaveOut(config RunConfig) (RunConfig, error) {
	if !config.SkipInfeasible {
		return config, nil
	}
	config.LeftOut = r.Infeasible(config)
	config.Problems = slices.DeleteFunc(slices.Clone(config.Problems), func(id string) bool {
		return slices.ContainsFunc(config.LeftOut, func(l results.LeftOut) bool { return l.Problem == id })
	})
	if len(config.Problems) > 0 || len(config.LeftOut) == 0 {
		return config, nil
	}
	var reasons []string
	for _, l := range config.LeftOut {
		reasons = append(reasons, fmt.Sprintf("problem %s: %s", l.Problem, l.Reason))
	}
	err := errs.Newf(errs.Usage, "leave out what cluster provider %s cannot have: no problem is left\n%s", config.Cluster, strings.Join(reasons, "\n"))
	return config, errs.Hint(err, "choose other problems or another --cluster: embedded has everything")
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

// announce says which cluster a run uses, where that is somebody else's, and which problems are left out.
func (r *Runner) announce(config RunConfig) {
	if d, ok := r.Providers[config.Cluster].(cluster.Describer); ok {
		r.Observer.Event(Event{Time: r.now(), Type: Note, Message: "using " + d.Describe()})
	}
	for _, l := range config.LeftOut {
		r.Observer.Event(Event{Time: r.now(), Type: Note, Message: fmt.Sprintf("left out: problem %s: %s", l.Problem, l.Reason)})
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
