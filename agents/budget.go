package agents

import (
	"errors"
	"fmt"
)

// ErrBudget is what Cloud.Call returns, wrapped, from the moment on that a budget is spent. errors.As with a *BudgetError
// tells which one.
var ErrBudget = errors.New("budget exhausted")

// The budgets' names.
const (
	BudgetSteps  = "steps"
	BudgetTime   = "time"
	BudgetTokens = "tokens"
	BudgetCost   = "cost"
)

// BudgetError names the budget that is spent. It is an ErrBudget.
type BudgetError struct {
	// Name is one of the Budget constants.
	Name string
	// Limit is what was allowed, for people.
	Limit string
}

// Error says what was spent.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("budget exhausted: %s (limit %s)", e.Name, e.Limit)
}

// Is makes every BudgetError an ErrBudget.
func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// Overspent is a BudgetError where an agent's own figures, since the start of the trial, are above the budget.
func (b Budget) Overspent(tokens int64, costUSD float64) error {
	switch {
	case b.Tokens > 0 && tokens > b.Tokens:
		return &BudgetError{Name: BudgetTokens, Limit: fmt.Sprint(b.Tokens)}
	case b.Cost > 0 && costUSD > b.Cost:
		return &BudgetError{Name: BudgetCost, Limit: fmt.Sprintf("%g USD", b.Cost)}
	}
	return nil
}

// UsageReporter is the capability of a Cloud that takes an agent's own figures, found by type assertion. Safe for
// concurrent use.
type UsageReporter interface {
	// ReportUsage adds what the agent spent since its last report: tokens (input and output together) and US dollars. The
	// error is an ErrBudget where that spends a budget.
	ReportUsage(tokens int64, costUSD float64) error
}

// ErrUnknown is what New returns, wrapped, for a name that is not registered.
var ErrUnknown = errors.New("unknown agent")
