package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

// marks are the moments that evidence is about.
type marks struct {
	faultLive, brief, agentDone time.Time
}

// state is how the faults and the users fare at one moment.
type state struct {
	faults []evaluator.FaultEvidence
	slos   []evaluator.SLOEvidence
	alerts []evaluator.AlertEvidence
	// saturated is true when this machine had no processor time to spare meanwhile.
	saturated bool
}

// look reads the state of this moment; objectives are over the hold window that ends now.
func (e *environment) look(ctx context.Context) (state, error) {
	s := state{faults: e.probe(ctx), saturated: e.machine.saturated()}
	for _, slo := range e.app.SLOs {
		got, err := e.metrics.Objective(ctx, slo, holdWindow)
		if err != nil {
			return s, fmt.Errorf("measure objective %s: %w", slo.Name, err)
		}
		s.slos = append(s.slos, got)
	}
	var err error
	if s.alerts, err = e.metrics.Alerts(ctx); err != nil {
		return s, fmt.Errorf("read alerts: %w", err)
	}
	return s, nil
}

// cleared is true when no fault is live.
func (s state) cleared() bool {
	return !slices.ContainsFunc(s.faults, func(f evaluator.FaultEvidence) bool { return f.Live })
}

// well is true when every fault predicate is cleared, every objective is met and no alert fires.
func (s state) well() bool {
	return s.cleared() && !slices.ContainsFunc(s.slos, func(o evaluator.SLOEvidence) bool { return !o.Met }) && len(s.alerts) == 0
}

// blameless is true when the system fares badly and only this machine may be the reason.
func (s state) blameless() bool { return s.saturated && s.cleared() && !s.well() }

// settle waits until a repair shows: all is well, and every workload is available. It stops waiting after limit, in which the
// time is not counted that the system waited for processors: what is then is what counts. It returns the state that it saw
// last, which is the one to judge: a second look would see another moment, and a machine that is busy for a second in between
// would undo a repair.
func (e *environment) settle(ctx context.Context, limit time.Duration) (state, error) {
	var waited, saturated time.Duration
	for began := e.clock.Now(); ; {
		now, err := e.look(ctx)
		if err == nil && now.well() {
			if reason, err := e.unavailable(ctx); err == nil && reason == "" {
				return now, nil
			}
		}
		if waited >= limit || saturated >= saturatedLimit {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, context.Cause(ctx)
		case <-e.clock.After(pollInterval):
		}
		took := e.clock.Since(began)
		began = began.Add(took)
		if now.blameless() {
			saturated += took
		} else {
			waited += took
		}
	}
}

// evidence is the snapshot that graders read: a state, and what has happened to the rest of the system.
func (e *environment) evidence(ctx context.Context, twin bool, at marks, s state) (evaluator.Evidence, error) {
	out := evaluator.Evidence{
		Twin: twin, FaultLiveAt: at.faultLive.UTC(), BriefAt: at.brief.UTC(), AgentDoneAt: at.agentDone.UTC(),
		Faults: s.faults, SLOs: s.slos, Alerts: s.alerts,
	}
	var err error
	out.Collateral, err = e.collateral(ctx)
	return out, err
}

// collateral holds the cluster and the application's data against the baseline.
func (e *environment) collateral(ctx context.Context) ([]evaluator.InvariantEvidence, error) {
	now, err := e.takeInventory(ctx)
	if err != nil {
		return nil, err
	}
	out := objectInvariants(e.answerable(inventory.Diff(e.baseline, now)), e.draw["namespace"], e.protected, e.truth.AllowedChanges)
	unavailable, err := e.unavailable(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, evaluator.InvariantEvidence{Name: "workloads available", Held: unavailable == "", Detail: unavailable})
	return append(out, e.dataInvariants(ctx)...), nil
}
