// Package nop is the agent that does nothing: it says that nothing is wrong. It is the lower bound of every suite.
package nop

import (
	"context"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

// Agent submits "no anomaly" and nothing else.
type Agent struct{}

var _ agents.Agent = Agent{}

// Solve submits "no anomaly" where detection is asked.
func (Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	if !slices.Contains(brief.Tasks, "detection") {
		return nil
	}
	return agents.Submit(ctx, cloud, "submit_detection", map[string]any{"anomaly": false})
}
