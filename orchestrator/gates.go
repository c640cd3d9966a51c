package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/problems/truth"
)

// gate polls condition until it holds. reason is what a look found missing; what they found becomes the error when ctx ends.
func (e *environment) gate(ctx context.Context, condition func(context.Context) (reason string, err error)) error {
	var found findings
	for {
		reason, err := condition(ctx)
		switch {
		case ctx.Err() != nil:
			// The look was cut short, and found nothing.
		case err != nil:
			found.add(err.Error())
		case reason == "":
			return nil
		default:
			found.add(reason)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), &found)
		case <-e.clock.After(pollInterval):
		}
	}
}

// proveHealthy is the baseline gate: objectives met over a window under live load, no alert firing, all workloads
// available. Then it remembers what the cluster holds.
func (e *environment) proveHealthy(ctx context.Context) error {
	if err := e.gate(ctx, e.unhealthy); err != nil {
		return fmt.Errorf("baseline gate: %w", err)
	}
	return e.remember(ctx)
}

func (e *environment) remember(ctx context.Context) error {
	var err error
	if e.baseline, err = e.takeInventory(ctx); err != nil {
		return err
	}
	if e.data, err = e.readData(ctx); err != nil {
		return fmt.Errorf("read the application's data: %w", err)
	}
	return nil
}

// unhealthy says what keeps the system from being healthy, or "".
func (e *environment) unhealthy(ctx context.Context) (string, error) {
	if reason, err := e.unavailable(ctx); reason != "" || err != nil {
		return reason, err
	}
	if reason, err := e.violated(ctx); reason != "" || err != nil {
		return reason, err
	}
	return e.metrics.Firing(ctx)
}

// violated says which objective is not met over the hold window, or "".
func (e *environment) violated(ctx context.Context) (string, error) {
	if under := e.clock.Since(e.loadSince); under < holdWindow {
		return fmt.Sprintf("the load has run for %s of %s", under.Round(time.Second), holdWindow), nil
	}
	for _, slo := range e.app.SLOs {
		got, err := e.metrics.Objective(ctx, slo, holdWindow)
		if err != nil {
			return "", err
		}
		if !got.Met {
			return fmt.Sprintf("objective %s is not met: %.4g %s over %s, want %.4g (%.0f requests)",
				slo.Name, got.Value, got.Unit, holdWindow, got.Target, got.Samples), nil
		}
	}
	return "", nil
}

// errNotLive says that an injected fault did not show.
var errNotLive = errors.New("fault is not live")

// proveFaulty is the fault gate: every fault's own predicate holds, and the declared symptom is observable.
func (e *environment) proveFaulty(ctx context.Context) error {
	if within := e.truth.Symptom.Within; within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(float64(within)*e.lab.patience), errors.New("the symptom's time is up"))
		defer cancel()
	}
	err := e.gate(ctx, func(ctx context.Context) (string, error) {
		for _, f := range e.probe(ctx) {
			if !f.Live {
				return fmt.Sprintf("fault %s: %s", f.ID, f.Detail), nil
			}
		}
		shown, err := e.symptom(ctx)
		if err != nil || shown {
			return "", err
		}
		return "the declared symptom is not observable", nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotLive, err)
	}
	return nil
}

// symptom reports whether any declared signal is observable. A silent problem has none to wait for.
func (e *environment) symptom(ctx context.Context) (bool, error) {
	if e.truth.Symptom.Silent != "" {
		return true, nil
	}
	for _, signal := range e.truth.Symptom.Any {
		shown, err := e.signal(ctx, signal)
		if err != nil || shown {
			return shown, err
		}
	}
	return false, nil
}

func (e *environment) signal(ctx context.Context, signal truth.Signal) (bool, error) {
	switch {
	case signal.Query != "":
		return e.metrics.Holds(ctx, signal.Query)
	case signal.SLO != "":
		slo, ok := e.app.SLO(signal.SLO)
		if !ok {
			return false, errs.Newf(errs.Usage, "find objective %q of app %s: no such objective", signal.SLO, e.app.ID)
		}
		got, err := e.metrics.Objective(ctx, slo, holdWindow)
		return err == nil && got.Samples > 0 && !got.Met, err
	default:
		alerts, err := e.metrics.Alerts(ctx)
		return slices.ContainsFunc(alerts, func(a evaluator.AlertEvidence) bool {
			return a.Name == signal.Alert && contains(a.Labels, signal.Labels)
		}), err
	}
}

func contains(all, some map[string]string) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}
