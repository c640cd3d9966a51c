// Package agents holds what is measured: the agent seam, the wire types that an agent and the agent-cloud interface
// (ACI) exchange, and the registry of agents.
package agents

import (
	"context"
	"encoding/json"
	"time"
)

// Agent solves one trial.
type Agent interface {
	// Solve works on the trial through cloud until it is done or ctx ends. It hands in its answers with the submit_* tools.
	// nil means that the agent is done, whatever it has submitted. An error is the agent's own failure (status agent_error);
	// what it had submitted is graded all the same. When ctx ends, Solve returns promptly; the harness does not wait longer
	// than a short grace period.
	Solve(ctx context.Context, brief Brief, cloud Cloud) error
}

// Cloud is the agent-cloud interface as an agent sees it. It is safe for concurrent use.
type Cloud interface {
	// Tools returns the catalogue of tools, sorted by name.
	Tools() []Tool
	// Call runs one tool. args is a JSON object that matches the tool's schema. A tool that ran and failed (kubectl said
	// no, a bad query, malformed args, an unknown tool) is a Result with IsError set, as the agent should see it.
	// The error is for what ends the trial: a spent budget (ErrBudget), a cancelled trial.
	Call(ctx context.Context, tool string, args json.RawMessage) (Result, error)
}

// Tool is one entry of the catalogue; Go, JSON lines and MCP serve the same.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// Result is what a tool printed. Output is bounded; Truncated says that there is more and Output ends with how to get it.
type Result struct {
	Output    string `json:"output"`
	IsError   bool   `json:"isError,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// Brief is everything that an agent is told at the start of a trial.
type Brief struct {
	TrialID string `json:"trialId"`
	// Prompt describes the situation in words: what the application is, who is on call, what to do. It never says what is wrong.
	Prompt string `json:"prompt"`
	// App and Namespace say what to look after.
	App       string `json:"app"`
	Namespace string `json:"namespace"`
	// Tasks are the answers that are asked for, in order: detection, localization, diagnosis, mitigation.
	Tasks []string `json:"tasks"`
	// Budget is what the agent may spend.
	Budget Budget `json:"budget"`
	// Mechanisms is the closed vocabulary for a diagnosis, from the taxonomy file, sorted.
	Mechanisms []string `json:"mechanisms"`
	// ComponentKinds is the closed vocabulary for the kind of a component, sorted.
	ComponentKinds []string `json:"componentKinds"`
}

// Budget bounds one trial. Zero means no bound.
type Budget struct {
	Steps  int
	Time   time.Duration
	Tokens int64
	Cost   float64
}

// MarshalJSON writes the budget as agents read it: docs/protocol.md, with the time in seconds.
func (b Budget) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Steps       int     `json:"steps"`
		TimeSeconds float64 `json:"timeSeconds"`
		Tokens      int64   `json:"tokens,omitempty"`
		CostUSD     float64 `json:"costUSD,omitempty"`
	}{b.Steps, b.Time.Seconds(), b.Tokens, b.Cost})
}

// Component names one part of the system, for example {Deployment geo hotel} or {Node node-2}.
type Component struct {
	Kind      string `json:"kind" yaml:"kind"`
	Name      string `json:"name" yaml:"name"`
	Namespace string `json:"namespace,omitempty" yaml:"namespace,omitempty"`
}

// Submission is what an agent has handed in; a nil task was not answered. The last submission of a task counts only
// where the first was malformed: a second valid one for the same task is refused.
type Submission struct {
	Detection    *Detection    `json:"detection,omitempty"`
	Localization *Localization `json:"localization,omitempty"`
	Diagnosis    *Diagnosis    `json:"diagnosis,omitempty"`
	Mitigation   *Mitigation   `json:"mitigation,omitempty"`
}

// Detection answers: is something wrong?
type Detection struct {
	Anomaly bool      `json:"anomaly"`
	At      time.Time `json:"at"`
}

// Localization answers: where? Components are ranked, the most likely first.
type Localization struct {
	Components []Component `json:"components"`
	At         time.Time   `json:"at"`
}

// Diagnosis answers: what is the root cause?
type Diagnosis struct {
	Component Component `json:"component"`
	// Mechanism is one of Brief.Mechanisms.
	Mechanism string `json:"mechanism"`
	// Field is the changed field where there is one, for example spec.ports[0].targetPort.
	Field       string    `json:"field,omitempty"`
	Explanation string    `json:"explanation,omitempty"`
	At          time.Time `json:"at"`
}

// Mitigation says that the agent is done repairing.
type Mitigation struct {
	Summary string    `json:"summary,omitempty"`
	At      time.Time `json:"at"`
}
