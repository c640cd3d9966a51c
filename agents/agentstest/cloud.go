// Package agentstest holds a fake cloud and the conformance suite that every agent passes.
package agentstest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/gameday-bench/gameday/agents"
)

// Call is one call that a Cloud has seen.
type Call struct {
	Tool string
	Args map[string]any
}

// Cloud is a fake agents.Cloud. It records calls, accepts one submission per task, counts steps, and answers other tools with
// Answer. It is safe for concurrent use.
type Cloud struct {
	// Answer gives the result of a tool that is no submission; nil answers with empty output.
	Answer func(ctx context.Context, tool string, args map[string]any) (agents.Result, error)
	// Steps is the budget; 0 means none.
	Steps int

	mu         sync.Mutex
	calls      []Call
	accepted   map[string]map[string]any
	duplicates int
	overdrawn  int
}

var _ agents.Cloud = (*Cloud)(nil)

// Tools returns a catalogue by its names only.
func (c *Cloud) Tools() []agents.Tool {
	var out []agents.Tool
	for _, name := range []string{
		"get_alerts", "get_events", "get_logs", "get_service_graph", "get_trace", "kubectl", "list_metrics", "query_metrics",
		"query_metrics_range", "read_output", "search_traces", "submit_detection", "submit_diagnosis", "submit_localization",
		"submit_mitigation", "wait",
	} {
		out = append(out, agents.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)})
	}
	return out
}

// Call answers one call.
func (c *Cloud) Call(ctx context.Context, tool string, raw json.RawMessage) (agents.Result, error) {
	if err := ctx.Err(); err != nil {
		return agents.Result{}, fmt.Errorf("call %s: %w", tool, context.Cause(ctx))
	}
	var args map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &args); err != nil {
			return agents.Result{Output: "malformed_args: " + err.Error(), IsError: true}, nil //nolint:nilerr // The call was answered: the agent is told what is wrong with it.
		}
	}
	done, result, err := c.note(tool, args)
	if done || err != nil {
		return result, err
	}
	if c.Answer == nil {
		return agents.Result{}, nil
	}
	return c.Answer(ctx, tool, args)
}

func (c *Cloud) note(tool string, args map[string]any) (done bool, result agents.Result, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Steps > 0 && len(c.calls) >= c.Steps {
		c.overdrawn++
		return true, result, &agents.BudgetError{Name: agents.BudgetSteps, Limit: fmt.Sprint(c.Steps)}
	}
	c.calls = append(c.calls, Call{tool, args})
	if len(tool) < 7 || tool[:7] != "submit_" {
		return false, result, nil
	}
	if c.accepted == nil {
		c.accepted = map[string]map[string]any{}
	}
	task := tool[7:]
	if _, taken := c.accepted[task]; taken {
		c.duplicates++
		return true, agents.Result{Output: "duplicate_submission: " + task, IsError: true}, nil
	}
	c.accepted[task] = args
	return true, agents.Result{Output: "accepted: " + task}, nil
}

// Calls are the calls so far.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Call{}, c.calls...)
}

// Accepted is what was submitted for a task, or nil.
func (c *Cloud) Accepted(task string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted[task]
}

// Duplicates is how many submissions came twice; Overdrawn how many calls came after the budget was spent.
func (c *Cloud) Duplicates() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.duplicates
}

// Overdrawn is how many calls came after the budget was spent.
func (c *Cloud) Overdrawn() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overdrawn
}
