// Package evaluator grades trials. A grader is a pure function of the truth, the submission and the evidence snapshot: it
// reads no clock and no cluster, so a stored run can be graded again offline.
package evaluator

import (
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/problems/truth"
)

// Grader scores one task of one trial.
type Grader interface {
	// Name is the task's name: detection, localization, diagnosis or mitigation.
	Name() string
	// Grade returns the score. Submission fields may be nil (not answered): that is a score of 0 with the reason, never an
	// error. An error means that the evidence or the truth cannot be graded (status grader_error).
	Grade(in Input) (Score, error)
}

// Input is everything that a grader may look at.
type Input struct {
	// Truth is resolved: parameters are drawn. It is the zero Truth on a twin.
	Truth      truth.Truth
	Topology   Topology
	Submission agents.Submission
	Evidence   Evidence
}

// Topology is the application's call graph: an edge goes from caller to callee, by component name.
type Topology struct {
	Nodes []string    `json:"nodes"`
	Edges [][2]string `json:"edges"`
}

// Score is the outcome of one task.
type Score struct {
	Task string `json:"task"`
	// Value is in [0,1]. It is what the headline uses.
	Value float64 `json:"value"`
	// Reason says in one sentence why.
	Reason string `json:"reason"`
	// Metrics are further figures, for example top3, graphDistance (hops), ttd (seconds).
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// Evidence is the snapshot that the orchestrator takes after the settle window. Times are UTC.
type Evidence struct {
	// Twin is true where no fault was injected.
	Twin bool `json:"twin"`
	// FaultLiveAt is when the fault gate passed (the brief time on a twin); BriefAt is when the agent's clock started;
	// AgentDoneAt is when the agent returned.
	FaultLiveAt time.Time `json:"faultLiveAt"`
	BriefAt     time.Time `json:"briefAt"`
	AgentDoneAt time.Time `json:"agentDoneAt"`
	// Faults holds the fault predicates after the settle window.
	Faults []FaultEvidence `json:"faults"`
	// SLOs are the user-path objectives over the hold window, measured at the load generator.
	SLOs []SLOEvidence `json:"slos"`
	// Alerts firing at the end, sorted by name.
	Alerts []AlertEvidence `json:"alerts"`
	// Collateral are the invariants that the trial holds against the post-deploy baseline.
	Collateral []InvariantEvidence `json:"collateral"`
}

// FaultEvidence is one fault's predicate.
type FaultEvidence struct {
	ID     string `json:"id"`
	Live   bool   `json:"live"`
	Detail string `json:"detail"`
}

// SLOEvidence is one objective over the hold window.
type SLOEvidence struct {
	Name string `json:"name"`
	Met  bool   `json:"met"`
	// Value and Target are in Unit (ratio or seconds). Samples is the number of user requests in the window; with 0 the
	// objective is not met.
	Value   float64 `json:"value"`
	Target  float64 `json:"target"`
	Unit    string  `json:"unit"`
	Samples float64 `json:"samples"`
	Window  float64 `json:"windowSeconds"`
}

// AlertEvidence is one firing alert.
type AlertEvidence struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Since  time.Time         `json:"since"`
}

// InvariantEvidence is one thing that a repair may not break.
type InvariantEvidence struct {
	Name   string `json:"name"`
	Held   bool   `json:"held"`
	Detail string `json:"detail,omitempty"`
}

// Snapshot is a trial's evidence.json: what a grader needs beside the truth and the submission.
type Snapshot struct {
	SchemaVersion int      `json:"schemaVersion"`
	Topology      Topology `json:"topology"`
	Evidence      Evidence `json:"evidence"`
}

// SnapshotVersion is the schema version of Snapshot.
const SnapshotVersion = 1
