// Package oracle is the agent that knows the answer: it plays a script that the orchestrator hands it. It is the upper bound
// of every suite, and it measures the harness: what it cannot reach, no agent can. It acts through the ACI alone, as every agent.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/agents"
)

const (
	// settle bounds the wait for workloads to be healthy after the repair.
	settle = 60 * time.Second
)

// ErrStep is what a failed step of the repair is reported with, wrapped.
var ErrStep = errors.New("repair step failed")

// Agent plays a script.
type Agent struct {
	script agents.Script
}

var _ agents.Agent = (*Agent)(nil)

// New returns an Agent that plays script.
func New(script agents.Script) *Agent { return &Agent{script} }

// Solve hands in the answers, runs the repair, waits like a good operator until the workloads are healthy, and says so.
func (a *Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	for _, answer := range a.answers(brief) {
		if answer.task == "mitigation" {
			if err := a.repair(ctx, cloud); err != nil {
				return err
			}
			if err := a.healthy(ctx, cloud); err != nil {
				return err
			}
		}
		if err := agents.Submit(ctx, cloud, "submit_"+answer.task, answer.args); err != nil {
			return err
		}
	}
	return nil
}

type answer struct {
	task string
	args map[string]any
}

// answers are the script's answers to the tasks that are asked, in their order.
func (a *Agent) answers(brief agents.Brief) []answer {
	var out []answer
	s := a.script.Submission
	for _, task := range brief.Tasks {
		switch {
		case task == "detection" && s.Detection != nil:
			out = append(out, answer{task, map[string]any{"anomaly": s.Detection.Anomaly}})
		case task == "localization" && s.Localization != nil:
			out = append(out, answer{task, map[string]any{"components": s.Localization.Components}})
		case task == "diagnosis" && s.Diagnosis != nil:
			args := map[string]any{"component": s.Diagnosis.Component, "mechanism": s.Diagnosis.Mechanism}
			if s.Diagnosis.Field != "" {
				args["field"] = s.Diagnosis.Field
			}
			out = append(out, answer{task, args})
		case task == "mitigation" && s.Mitigation != nil:
			out = append(out, answer{task, map[string]any{"summary": s.Mitigation.Summary}})
		}
	}
	return out
}

func (a *Agent) repair(ctx context.Context, cloud agents.Cloud) error {
	for i, step := range a.script.Repair {
		tool, args := "kubectl", map[string]any{"command": step.Kubectl, "timeout_seconds": 120}
		if step.Stdin != "" {
			args["stdin"] = step.Stdin
		}
		if step.Kubectl == "" {
			tool, args = "wait", map[string]any{"seconds": step.Wait.Seconds()}
		}
		result, err := agents.Do(ctx, cloud, tool, args)
		if err != nil {
			return err
		}
		if result.IsError {
			return fmt.Errorf("%w: step %d: %s %s: %s", ErrStep, i+1, tool, step.Kubectl, strings.TrimSpace(result.Output))
		}
	}
	return nil
}

// healthy waits until every workload of the application has rolled out. One that never does is the trial's outcome to show,
// not an error of the agent.
func (a *Agent) healthy(ctx context.Context, cloud agents.Cloud) error {
	if len(a.script.Repair) == 0 {
		return nil
	}
	command := fmt.Sprintf("wait --for=condition=Available deployment --all --timeout=%s", settle)
	_, err := agents.Do(ctx, cloud, "kubectl", map[string]any{"command": command, "timeout_seconds": int(settle.Seconds()) + 5})
	return err
}
