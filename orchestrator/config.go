package orchestrator

import (
	"encoding/json"
	"log/slog"
	"runtime"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
)

// RunConfig is what one run is asked to do. It is stored with the run.
type RunConfig struct {
	// Scenario is the id of the scenario, for the run's name; what it holds is in the other fields.
	Scenario string `json:"scenario"`
	// Problems and Agents are ids; every agent gets every problem.
	Problems []string `json:"problems"`
	Agents   []string `json:"agents"`
	// Attempts is how often each agent gets each problem, at least 1.
	Attempts int `json:"attempts"`
	// Seeds are used in turn, one per attempt; empty means seed 0, the canonical draw, for all.
	Seeds []int64 `json:"seeds"`
	// Twins adds the same problem without its fault for every trial.
	Twins bool `json:"twins"`
	// Concurrency is how many trials run at a time, each on a cluster of its own; at least 1.
	Concurrency int `json:"concurrency"`
	// Starts is how many of them bring up their system at the same time; the others wait for their turn before they
	// begin. 0 means one for every two processors, at least one.
	Starts int `json:"starts,omitempty"`
	// Cluster is the kind of cluster, a key of Runner.Providers: embedded, kind or existing.
	Cluster string `json:"cluster"`
	Nodes   int    `json:"nodes,omitempty"`
	// NodeGroups are the nodes of a cluster file, in place of Nodes.
	NodeGroups []cluster.NodeGroup `json:"nodeGroups,omitempty"`
	Fidelity   string              `json:"fidelity,omitempty"`
	// OutDir is the directory of run directories. RunID names the run; empty means a new name.
	OutDir string `json:"outDir"`
	RunID  string `json:"runId,omitempty"`
	// InfraRetries is how often a trial is tried again that failed for our own reasons.
	InfraRetries int `json:"infraRetries"`
	// SkipInfeasible leaves out the problems whose faults the clusters cannot have, in place of refusing the run. LeftOut are then those that
	// Run has taken out of Problems.
	SkipInfeasible bool              `json:"skipInfeasible,omitempty"`
	LeftOut        []results.LeftOut `json:"leftOut,omitempty"`
	// TimeoutMultiplier stretches the deadlines of all phases, not the agent's budget; 0 means 1.
	TimeoutMultiplier float64 `json:"timeoutMultiplier,omitempty"`
	// Executor says where the trials are played when that is not this process; Runner.Executor is then what plays them.
	Executor *results.Executor `json:"executor,omitempty"`
	// Argv is the command line, Config the resolved configuration with secrets redacted; both are stored.
	Argv   []string        `json:"-"`
	Config json.RawMessage `json:"-"`
}

// Runner runs trials. Its fields are set once, before the first call.
type Runner struct {
	Problems *problems.Catalog
	Faults   *faults.Catalog
	Apps     *workloads.Catalog
	// Providers are the kinds of clusters, by RunConfig.Cluster.
	Providers map[string]cluster.Provider
	// Executor plays the trials elsewhere; nil plays them in this process.
	Executor Executor
	// Observer is told what happens; nil for nobody.
	Observer Observer
	// Clock and Log may be nil: real time, no log.
	Clock clock.Clock
	Log   *slog.Logger
	// Tool says what is running, for the record.
	Tool results.Tool
	// ScenarioDigest and AgentDigest are recorded for the scenario and for each agent; may be nil.
	ScenarioDigest string
	AgentDigest    func(agent string) string
}

// defaults fills in what may be left out.
func (c *RunConfig) defaults() {
	c.Attempts = max(c.Attempts, 1)
	c.Concurrency = max(c.Concurrency, 1)
	if c.Starts < 1 {
		c.Starts = max(runtime.GOMAXPROCS(0)/2, 1)
	}
	if len(c.Seeds) == 0 {
		c.Seeds = []int64{0}
	}
	if c.Cluster == "" {
		c.Cluster = "embedded"
	}
	if c.TimeoutMultiplier == 0 {
		c.TimeoutMultiplier = 1
	}
}

// plan lists the trials of a run.
func (c *RunConfig) plan() []scenarios.Trial {
	return scenarios.Plan{Problems: c.Problems, Agents: c.Agents, Attempts: c.Attempts, Seeds: c.Seeds, Twins: c.Twins}.Trials()
}
