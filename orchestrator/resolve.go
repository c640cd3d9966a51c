package orchestrator

import (
	"context"
	"fmt"
	"maps"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/workloads"
)

// resolved is a problem with everything that its files refer to.
type resolved struct {
	entry problems.Entry
	draw  problems.Draw
	truth truth.Truth // filled in but for what is read from the live system
	app   *workloads.Definition
}

// resolve finds a problem and everything that it names, and draws its parameters from seed.
func (r *Runner) resolve(id string, seed int64) (*resolved, error) {
	entry, err := r.Problems.Get(id)
	if err != nil {
		return nil, err
	}
	app, err := r.Apps.Get(entry.Problem.App)
	if err != nil {
		return nil, fmt.Errorf("resolve problem %s: %w", id, err)
	}
	names := []string{}
	for _, f := range r.Faults.All() {
		names = append(names, f.ID)
	}
	raw, err := truth.Load(truth.Names{Faults: names}, entry)
	if err != nil {
		return nil, err
	}
	draw := entry.Problem.Draw(seed)
	filled, err := raw.Resolve(draw)
	if err != nil {
		return nil, fmt.Errorf("resolve problem %s: %w", id, err)
	}
	return &resolved{entry, draw, filled, app}, nil
}

// readRuntime fills in what can only be read from the live system: it joins the draw, and the truth is complete.
func (e *environment) readRuntime(ctx context.Context) error {
	values, err := faults.ReadRuntime(ctx, e.faultEnv(boundFault{}), e.truth.Runtime)
	if err != nil {
		return err
	}
	maps.Copy(e.draw, values)
	filled, err := e.truth.Resolve(e.draw)
	if err != nil {
		return fmt.Errorf("fill in the truth: %w", err)
	}
	e.truth = filled
	return nil
}

// bind makes the faults of the problem.
func (e *environment) bind() error {
	for _, ref := range e.truth.Faults {
		entry, err := e.lab.faults.Get(ref.ID)
		if err != nil {
			return err
		}
		fault, err := entry.New(ref.Params)
		if err != nil {
			return fmt.Errorf("make fault %s: %w", ref.ID, err)
		}
		e.faults = append(e.faults, boundFault{id: ref.ID, fault: fault, state: map[string]string{}})
	}
	return nil
}

// topology is the application's call graph as graders read it.
func (e *environment) topology() evaluator.Topology {
	t := evaluator.Topology{Edges: e.app.Edges()}
	for _, c := range e.app.Components {
		t.Nodes = append(t.Nodes, c.Name)
	}
	return t
}
