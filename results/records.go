// Package results holds the records of a run and the directory that they are kept in.
//
// A run directory can be read at any moment, also after the process that wrote it was killed: whole files are written under
// a temporary name and renamed, trials.jsonl is appended to line by line and synced, and a line that was cut off is ignored.
package results

import (
	"encoding/json"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
)

// SchemaVersion is the version of every record in this package. It changes when a reader has to change.
const SchemaVersion = 1

// RunStatus is the state of a run.
type RunStatus string

// The closed set of run states. Interrupted is never written: a run that says started and whose process is gone is it.
const (
	RunStarted     RunStatus = "started"
	RunFinished    RunStatus = "finished"
	RunFailed      RunStatus = "failed"
	RunCancelled   RunStatus = "cancelled"
	RunInterrupted RunStatus = "interrupted"
)

// Status is the outcome of a trial.
type Status string

// The closed set of trial outcomes.
const (
	Graded          Status = "graded"
	AgentError      Status = "agent_error"
	AgentTimeout    Status = "agent_timeout"
	BudgetExhausted Status = "budget_exhausted"
	InfraError      Status = "infra_error"
	FaultNotLive    Status = "fault_not_live"
	GraderError     Status = "grader_error"
	Cancelled       Status = "cancelled"
)

// Statuses returns the closed set, the agent's outcomes first.
func Statuses() []Status {
	return []Status{Graded, AgentError, AgentTimeout, BudgetExhausted, InfraError, FaultNotLive, GraderError, Cancelled}
}

// Valid reports whether s is in the closed set.
func (s Status) Valid() bool {
	for _, known := range Statuses() {
		if s == known {
			return true
		}
	}
	return false
}

// Scored reports whether a trial with this status has scores: the agent's own failures are graded on what was submitted.
func (s Status) Scored() bool {
	switch s {
	case Graded, AgentError, AgentTimeout, BudgetExhausted:
		return true
	}
	return false
}

// Retryable reports whether the failure is ours, so that the trial is tried again.
func (s Status) Retryable() bool {
	return s == InfraError || s == FaultNotLive || s == GraderError
}

// Run is run.json. Times are UTC.
type Run struct {
	SchemaVersion int       `json:"schemaVersion"`
	ID            string    `json:"id"`
	Status        RunStatus `json:"status"`
	Scenario      string    `json:"scenario"`
	// Argv is the command line.
	Argv []string `json:"argv"`
	// Config is the resolved configuration, secrets redacted.
	Config json.RawMessage `json:"config,omitempty"`
	// Problems and Agents are what is played; with Attempts and Twins they fix the number of trials.
	Problems []string `json:"problems"`
	// LeftOut are the problems that were asked for, too, and are not played: see LeftOut.
	LeftOut  []LeftOut `json:"leftOut,omitempty"`
	Agents   []string  `json:"agents"`
	Attempts int       `json:"attempts"`
	Seeds    []int64   `json:"seeds"`
	Twins    bool      `json:"twins"`
	Cluster  string    `json:"cluster"`
	// Nodes and Fidelity are of each cluster, the provider's defaults where absent.
	Nodes int `json:"nodes,omitempty"`
	// NodeGroups are the nodes of the cluster file, where there was one.
	NodeGroups json.RawMessage `json:"nodeGroups,omitempty"`
	Fidelity   string          `json:"fidelity,omitempty"`
	// Executor says where the trials are played, when that is not in the run's own process.
	Executor *Executor `json:"executor,omitempty"`
	// Concurrency is the number of trials at a time, InfraRetries how often one is tried again that failed for the harness's
	// reasons, TimeoutMultiplier the factor on the deadlines of all phases but the agent's.
	Concurrency       int     `json:"concurrency,omitempty"`
	InfraRetries      int     `json:"infraRetries"`
	TimeoutMultiplier float64 `json:"timeoutMultiplier,omitempty"`
	// Planned is the number of trials, retries not counted.
	Planned int  `json:"planned"`
	Tool    Tool `json:"tool"`
	Host    Host `json:"host"`
	// Digests maps what was used to its hash: "scenario/smoke", "problem/<id>", "agent/<id>", "app/<id>", "fault/<id>".
	Digests map[string]string `json:"digests"`
	// Images maps the references in pods to the digests of the container images' manifests, on clusters whose nodes run images:
	// see Store.RecordImages.
	Images map[string]string `json:"images,omitempty"`
	// ProblemVersions maps problem ids to their versions.
	ProblemVersions map[string]int `json:"problemVersions,omitempty"`
	StartedAt       time.Time      `json:"startedAt"`
	FinishedAt      *time.Time     `json:"finishedAt,omitempty"`
	// ResumedAt is when the run was continued, each time.
	ResumedAt []time.Time `json:"resumedAt,omitempty"`
	// Error says why the run failed or was cancelled.
	Error *Failure `json:"error,omitempty"`
}

// LeftOut is a problem that a run was asked for and does not play, since its clusters cannot have the faults.
type LeftOut struct {
	Problem string `json:"problem"`
	// Reason names what each fault requires and the clusters do not have.
	Reason string `json:"reason"`
}

// Tool says what wrote a run.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	// Date is the time of the commit, RFC 3339 in UTC.
	Date       string `json:"date,omitempty"`
	Go         string `json:"go"`
	Kubernetes string `json:"kubernetes,omitempty"`
	ChaosMesh  string `json:"chaosMesh,omitempty"`
}

// Host is the machine that a run ran on.
type Host struct {
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel,omitempty"`
	CPUs        int    `json:"cpus"`
	MemoryBytes uint64 `json:"memoryBytes"`
}

// Failure is an error in a record.
type Failure struct {
	// Party is usage, infra, agent, grader or interrupted.
	Party   string `json:"party"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Phase is the trial phase in which it happened.
	Phase string `json:"phase,omitempty"`
}

// FailureOf records err; nil for nil.
func FailureOf(err error, phase string) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Party: string(errs.PartyOf(err)), Message: err.Error(), Hint: errs.HintOf(err), Phase: phase}
}

// Score is the outcome of one task, as package evaluator defines it.
type Score struct {
	Task    string             `json:"task"`
	Value   float64            `json:"value"`
	Reason  string             `json:"reason"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// TrialRecord is a line of trials.jsonl, and trial.json: enough for every table. Times are UTC.
type TrialRecord struct {
	SchemaVersion int `json:"schemaVersion"`
	Key
	// Retry is 0 for the first try.
	Retry int `json:"retry"`
	// Dir is the trial's directory, relative to the run.
	Dir            string `json:"dir"`
	ProblemVersion int    `json:"problemVersion"`
	// Digest is the trial's identity: see Identity.
	Digest string `json:"digest,omitempty"`
	Seed   int64  `json:"seed"`
	// Draw holds the parameters of the problem that were drawn from the seed.
	Draw   map[string]string `json:"draw,omitempty"`
	Tasks  []string          `json:"tasks"`
	Status Status            `json:"status"`
	Error  *Failure          `json:"error,omitempty"`
	// GivenUp is true for a failure of the harness after which the trial is not tried again, however many tries it has left.
	GivenUp bool `json:"givenUp,omitempty"`
	// Scores is in the order of the tasks that are graded; empty where Status.Scored is false.
	Scores []Score `json:"scores"`
	// GraderVersion is the version of the graders that made Scores.
	GraderVersion int       `json:"graderVersion,omitempty"`
	StartedAt     time.Time `json:"startedAt"`
	FinishedAt    time.Time `json:"finishedAt"`
	// Phases are the seconds spent in each phase of the trial; the agent's is "act".
	Phases map[string]float64 `json:"phases,omitempty"`
	// AgentSeconds is the agent's own time; OverheadSeconds is everything else.
	AgentSeconds    float64 `json:"agentSeconds"`
	OverheadSeconds float64 `json:"overheadSeconds"`
	// Steps are the agent's tool calls; Tokens and CostUSD are as the agent reports them.
	Steps   int     `json:"steps"`
	Tokens  int64   `json:"tokens,omitempty"`
	CostUSD float64 `json:"costUSD,omitempty"`
	// Left lists what cleaning up could not remove.
	Left []string `json:"left,omitempty"`
}

// Score returns the score of a task.
func (r TrialRecord) Score(task string) (Score, bool) {
	for _, s := range r.Scores {
		if s.Task == task {
			return s, true
		}
	}
	return Score{}, false
}
