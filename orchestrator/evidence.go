package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

// marks are the moments that evidence is about.
type marks struct {
	faultLive, brief, agentDone time.Time
}

// settle waits until a repair shows: every fault predicate cleared and every objective met over the hold window. It stops
// waiting after limit: what is then is what counts. Only an ended ctx is an error.
func (e *environment) settle(ctx context.Context, limit time.Duration) error {
	deadline := e.clock.NewTimer(limit)
	defer deadline.Stop()
	for {
		if e.settled(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C():
			return nil
		case <-e.clock.After(pollInterval):
		}
	}
}

func (e *environment) settled(ctx context.Context) bool {
	for _, f := range e.probe(ctx) {
		if f.Live {
			return false
		}
	}
	reason, err := e.unhealthy(ctx)
	return err == nil && reason == ""
}

// evidence takes the snapshot that graders read.
func (e *environment) evidence(ctx context.Context, twin bool, at marks) (evaluator.Evidence, error) {
	out := evaluator.Evidence{
		Twin: twin, FaultLiveAt: at.faultLive.UTC(), BriefAt: at.brief.UTC(), AgentDoneAt: at.agentDone.UTC(),
		Faults: e.probe(ctx),
	}
	for _, slo := range e.app.SLOs {
		got, err := e.metrics.Objective(ctx, slo, holdWindow)
		if err != nil {
			return out, fmt.Errorf("measure objective %s: %w", slo.Name, err)
		}
		out.SLOs = append(out.SLOs, got)
	}
	var err error
	if out.Alerts, err = e.metrics.Alerts(ctx); err != nil {
		return out, fmt.Errorf("read alerts: %w", err)
	}
	if out.Collateral, err = e.collateral(ctx); err != nil {
		return out, err
	}
	return out, nil
}

// collateral holds the cluster and the application's data against the baseline.
func (e *environment) collateral(ctx context.Context) ([]evaluator.InvariantEvidence, error) {
	now, err := inventory.Take(ctx, e.dynamic, e.namespaces()...)
	if err != nil {
		return nil, fmt.Errorf("take inventory: %w", err)
	}
	out := objectInvariants(inventory.Diff(e.baseline, now), e.draw["namespace"], e.protected, e.truth.AllowedChanges)
	unavailable, err := e.unavailable(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, evaluator.InvariantEvidence{Name: "workloads available", Held: unavailable == "", Detail: unavailable})
	return append(out, e.dataInvariants(ctx)...), nil
}
