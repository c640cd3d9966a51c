package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
)

// errPhase is the cause of a context that a phase's deadline ended.
var errPhase = errors.New("deadline of the phase exceeded")

// phases runs the steps of one trial, each under its own deadline, and tells the observer.
type phases struct {
	trial    string
	observer Observer
	factor   float64 // multiplies every deadline
	now      func() time.Time
	// took is how long each phase took, in seconds; last is the phase that was entered last before the clean-up.
	took map[Phase]float64
	last Phase
}

// run executes one phase. The error names its party (infra, unless the step or an interruption says otherwise) and phase.
func (p *phases) run(ctx context.Context, phase Phase, step func(context.Context) error) error {
	limit := time.Duration(float64(deadlines()[phase]) * p.factor)
	return p.runFor(ctx, phase, limit, step)
}

// runFor is run with a limit of its own; zero means none.
func (p *phases) runFor(ctx context.Context, phase Phase, limit time.Duration, step func(context.Context) error) error {
	began := p.now()
	if phase != Recover && phase != Collect && phase != Clean {
		p.last = phase
	}
	p.observer.Event(Event{Time: began, Type: PhaseStarted, Trial: p.trial, Phase: phase})
	phaseCtx := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		phaseCtx, cancel = context.WithTimeoutCause(ctx, limit, errPhase)
		defer cancel()
	}
	err := step(phaseCtx)
	seconds := p.now().Sub(began).Seconds()
	p.took[phase] += seconds
	e := Event{Time: p.now(), Type: PhaseFinished, Trial: p.trial, Phase: phase, Seconds: seconds}
	if err != nil {
		err = blame(ctx, phaseCtx, phase, limit, err)
		e.Error = err.Error()
	}
	p.observer.Event(e)
	return err
}

// blame wraps a failed step's error with its phase and party.
func blame(outer, inner context.Context, phase Phase, limit time.Duration, err error) error {
	switch {
	case outer.Err() != nil:
		if cause := context.Cause(outer); errs.PartyOf(cause) != "" {
			return fmt.Errorf("%s: %w", phase, cause)
		}
		return errs.With(errs.Interrupted, fmt.Errorf("%s: %w", phase, context.Cause(outer)))
	case errors.Is(context.Cause(inner), errPhase):
		err = fmt.Errorf("%s: not done within %s: %w", phase, limit, err)
	default:
		err = fmt.Errorf("%s: %w", phase, err)
	}
	if errs.PartyOf(err) == "" {
		err = errs.With(errs.Infra, err)
	}
	return err
}
