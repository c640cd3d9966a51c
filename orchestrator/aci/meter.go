package aci

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/agents"
)

// Usage is what an agent has spent.
type Usage struct {
	Steps   int           `json:"steps"`
	Time    time.Duration `json:"time"`
	Tokens  int64         `json:"tokens,omitempty"`
	CostUSD float64       `json:"costUSD,omitempty"`
	// Exhausted is the name of the first budget that was spent and asked for more, or empty.
	Exhausted string `json:"exhausted,omitempty"`
}

// meter holds an agent to its budget. Every call is a step.
type meter struct {
	budget agents.Budget
	clock  clock.WithTicker
	start  time.Time

	mu    sync.Mutex
	spent Usage
}

func newMeter(budget agents.Budget, c clock.WithTicker) *meter {
	return &meter{budget: budget, clock: c, start: c.Now()}
}

// step takes one step, or says which budget is spent.
func (m *meter) step() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(); err != nil {
		return 0, err
	}
	if m.budget.Steps > 0 && m.spent.Steps >= m.budget.Steps {
		return 0, m.exhausted(agents.BudgetSteps, fmt.Sprint(m.budget.Steps))
	}
	m.spent.Steps++
	return m.spent.Steps, nil
}

// What nobody can spend: figures beyond these are refused, so that neither sums nor records of them overflow.
const (
	mostTokens int64   = 1e12
	mostCost   float64 = 1e9
)

// report adds an agent's own figures.
func (m *meter) report(tokens int64, cost float64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A cost that is no number is refused, too.
	if tokens < 0 || tokens > mostTokens || !(cost >= 0 && cost <= mostCost) {
		return fmt.Errorf("report usage: tokens %d and cost %g must be within 0 and %d, 0 and %g", tokens, cost, mostTokens, mostCost)
	}
	m.spent.Tokens = min(m.spent.Tokens+tokens, mostTokens)
	m.spent.CostUSD = min(m.spent.CostUSD+cost, mostCost)
	return m.check()
}

// check is called with the lock held.
func (m *meter) check() error {
	if m.budget.Time > 0 && m.clock.Since(m.start) >= m.budget.Time {
		return m.exhausted(agents.BudgetTime, m.budget.Time.String())
	}
	var over *agents.BudgetError
	if errors.As(m.budget.Overspent(m.spent.Tokens, m.spent.CostUSD), &over) {
		return m.exhausted(over.Name, over.Limit)
	}
	return nil
}

func (m *meter) exhausted(name, limit string) error {
	if m.spent.Exhausted == "" {
		m.spent.Exhausted = name
	}
	return &agents.BudgetError{Name: name, Limit: limit}
}

// bound ends ctx with a BudgetError when the time budget ends. release must be called.
func (m *meter) bound(ctx context.Context) (bounded context.Context, release func()) {
	if m.budget.Time <= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := m.clock.NewTimer(m.budget.Time - m.clock.Since(m.start))
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-timer.C():
			m.mu.Lock()
			err := m.exhausted(agents.BudgetTime, m.budget.Time.String())
			m.mu.Unlock()
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		timer.Stop()
		<-done
	}
}

func (m *meter) usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.spent
	out.Time = m.clock.Since(m.start)
	return out
}
