package results

import (
	"maps"
	"math"
	"slices"
)

// Summary is summary.json: what a run says about its agents. Means are over the trials that have scores; coverage says how
// many of the planned ones that is, so that a gap is never silent.
type Summary struct {
	SchemaVersion int       `json:"schemaVersion"`
	RunID         string    `json:"runId"`
	Dir           string    `json:"dir,omitempty"`
	Scenario      string    `json:"scenario"`
	Status        RunStatus `json:"status"`
	Error         *Failure  `json:"error,omitempty"`
	// LeftOut are problems that were asked for and are in none of the figures.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Planned trials, Finished ones (with a record) and Scored ones; Retries are tries beyond the first.
	Planned  int            `json:"planned"`
	Finished int            `json:"finished"`
	Scored   int            `json:"scored"`
	Retries  int            `json:"retries"`
	Coverage float64        `json:"coverage"`
	Statuses map[Status]int `json:"statuses"`
	// Agents are sorted by name.
	Agents []AgentSummary `json:"agents"`
	// Overhead is the harness's own seconds per trial, the agent's work excluded; Agent is the agent's.
	Overhead Distribution `json:"overheadSeconds"`
	Agent    Distribution `json:"agentSeconds"`
}

// AgentSummary is one agent over the suite.
type AgentSummary struct {
	Agent string `json:"agent"`
	// Score is the mean of the tasks' values: balanced accuracy for detection where there are twins, else the mean. Absent
	// where nothing was scored.
	Score    *float64 `json:"score"`
	Planned  int      `json:"planned"`
	Finished int      `json:"finished"`
	Scored   int      `json:"scored"`
	Coverage float64  `json:"coverage"`
	// Tasks are over the trials with a fault, in the order of the tasks.
	Tasks []Cell `json:"tasks"`
	// Twins is detection on the trials without a fault; absent where there are none.
	Twins *Cell `json:"twins,omitempty"`
	// BalancedAccuracy is of detection: the mean of the shares that are right with a fault and without. Absent where one of
	// the two was not tried.
	BalancedAccuracy *float64 `json:"balancedAccuracy,omitempty"`
	// Times are the seconds to right answers by metric: ttd, ttl, tta, ttm. N says how many there were.
	Times    map[string]Distribution `json:"times,omitempty"`
	Problems []ProblemSummary        `json:"problems"`
	Statuses map[Status]int          `json:"statuses"`
	Steps    Distribution            `json:"steps"`
	Tokens   int64                   `json:"tokens,omitempty"`
	CostUSD  float64                 `json:"costUSD,omitempty"`
}

// ProblemSummary is one agent on one problem, or on its twin.
type ProblemSummary struct {
	Problem  string         `json:"problem"`
	Version  int            `json:"version"`
	Twin     bool           `json:"twin"`
	Tasks    []Cell         `json:"tasks"`
	Statuses map[Status]int `json:"statuses"`
}

// Cell is one task.
type Cell struct {
	Task string `json:"task"`
	// Mean is over N scored trials, of Trials finished ones. Absent where N is 0.
	Mean   *float64 `json:"mean"`
	N      int      `json:"n"`
	Trials int      `json:"trials"`
	// Coverage is N of Trials.
	Coverage float64 `json:"coverage"`
}

// Distribution describes a set of figures; with N 0 the rest is 0.
type Distribution struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Describe returns the distribution of values (nearest-rank quantiles).
func Describe(values []float64) Distribution {
	if len(values) == 0 {
		return Distribution{}
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := func(q float64) float64 { return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)] }
	return Distribution{len(sorted), rank(0.5), rank(0.95), sorted[len(sorted)-1]}
}

// BalancedAccuracy is the mean of two shares: right alarms among trials with a fault, right silence among those without.
// It is false where one of the two is empty: then it is not defined.
func BalancedAccuracy(withFault, without []float64) (float64, bool) {
	if len(withFault) == 0 || len(without) == 0 {
		return 0, false
	}
	return (mean(withFault) + mean(without)) / 2, true
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Latest returns the last try of each trial, sorted by key.
func Latest(records []TrialRecord) []TrialRecord {
	last := map[Key]TrialRecord{}
	for _, r := range records {
		if old, ok := last[r.Key]; !ok || r.Retry >= old.Retry {
			last[r.Key] = r
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b TrialRecord) int { return a.Key.Compare(b.Key) })
}

// Summarize adds up a run. records may hold retries; the last try of each trial counts.
func Summarize(run Run, records []TrialRecord) *Summary {
	latest := Latest(records)
	s := &Summary{
		SchemaVersion: SchemaVersion, RunID: run.ID, Scenario: run.Scenario, Status: run.Status, Error: run.Error,
		LeftOut: run.LeftOut, Planned: max(run.Planned, len(latest)), Finished: len(latest), Retries: len(records) - len(latest),
		Statuses: statuses(latest), Agents: []AgentSummary{},
	}
	var overhead, acting []float64
	byAgent := map[string][]TrialRecord{}
	for _, agent := range run.Agents {
		byAgent[agent] = nil
	}
	for _, r := range latest {
		byAgent[r.Agent] = append(byAgent[r.Agent], r)
		if r.Status.Scored() {
			s.Scored++
			overhead, acting = append(overhead, r.OverheadSeconds), append(acting, r.AgentSeconds)
		}
	}
	s.Coverage = share(s.Scored, s.Planned)
	s.Overhead, s.Agent = Describe(overhead), Describe(acting)
	for _, agent := range slices.Sorted(maps.Keys(byAgent)) {
		planned := len(byAgent[agent])
		if n := len(run.Agents); n > 0 {
			planned = max(planned, run.Planned/n)
		}
		s.Agents = append(s.Agents, summarizeAgent(agent, planned, byAgent[agent]))
	}
	return s
}

func summarizeAgent(agent string, planned int, records []TrialRecord) AgentSummary {
	a := AgentSummary{
		Agent: agent, Planned: planned, Finished: len(records), Statuses: statuses(records),
		Times: map[string]Distribution{}, Problems: summarizeProblems(records),
	}
	var faulty, twins []TrialRecord
	var steps []float64
	times := map[string][]float64{}
	for _, r := range records {
		if r.Twin {
			twins = append(twins, r)
		} else {
			faulty = append(faulty, r)
		}
		a.Tokens, a.CostUSD = a.Tokens+r.Tokens, a.CostUSD+r.CostUSD
		if !r.Status.Scored() {
			continue
		}
		a.Scored++
		steps = append(steps, float64(r.Steps))
		for _, score := range r.Scores {
			for _, name := range []string{"ttd", "ttl", "tta", "ttm"} {
				if v, ok := score.Metrics[name]; ok {
					times[name] = append(times[name], v)
				}
			}
		}
	}
	for name, values := range times {
		a.Times[name] = Describe(values)
	}
	a.Coverage, a.Steps, a.Tasks = share(a.Scored, a.Planned), Describe(steps), cells(faulty)
	if len(twins) > 0 {
		for _, c := range cells(twins) {
			a.Twins = &c
		}
	}
	if ba, ok := BalancedAccuracy(values(faulty, "detection"), values(twins, "detection")); ok {
		a.BalancedAccuracy = &ba
	}
	a.Score = headline(a)
	return a
}

// headline is the mean over the tasks that have a value.
func headline(a AgentSummary) *float64 {
	var parts []float64
	for _, c := range a.Tasks {
		switch {
		case c.Task == "detection" && a.BalancedAccuracy != nil:
			parts = append(parts, *a.BalancedAccuracy)
		case c.Mean != nil:
			parts = append(parts, *c.Mean)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	m := mean(parts)
	return &m
}

func summarizeProblems(records []TrialRecord) []ProblemSummary {
	type group struct {
		problem string
		twin    bool
	}
	out := []ProblemSummary{}
	var order []group
	members := map[group][]TrialRecord{}
	for _, r := range records { // Sorted by key, so groups come out sorted.
		g := group{r.Problem, r.Twin}
		if members[g] == nil {
			order = append(order, g)
		}
		members[g] = append(members[g], r)
	}
	for _, g := range order {
		all := members[g]
		out = append(out, ProblemSummary{g.problem, all[0].ProblemVersion, g.twin, cells(all), statuses(all)})
	}
	return out
}

// cells adds up each task that the records were to be graded on, in the order in which tasks are asked.
func cells(records []TrialRecord) []Cell {
	out := []Cell{}
	for _, task := range []string{"detection", "localization", "diagnosis", "mitigation"} {
		c := Cell{Task: task}
		for _, r := range records {
			if slices.Contains(r.Tasks, task) && (!r.Twin || task == "detection") {
				c.Trials++
			}
		}
		if c.Trials == 0 {
			continue
		}
		if scored := values(records, task); len(scored) > 0 {
			m := mean(scored)
			c.Mean, c.N = &m, len(scored)
		}
		c.Coverage = share(c.N, c.Trials)
		out = append(out, c)
	}
	return out
}

func values(records []TrialRecord, task string) []float64 {
	var out []float64
	for _, r := range records {
		if score, ok := r.Score(task); ok && r.Status.Scored() {
			out = append(out, score.Value)
		}
	}
	return out
}

func statuses(records []TrialRecord) map[Status]int {
	out := map[Status]int{}
	for _, r := range records {
		out[r.Status]++
	}
	return out
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
