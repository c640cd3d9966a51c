// Package problems holds what an agent is asked to solve: the schema of problem.yaml and its loader. It never holds an
// answer: faults, truth, repairs and cheats are in package truth, which nothing that faces an agent imports.
package problems

import (
	"encoding/json"
	"time"
)

// APIVersion is what every file of the catalogue declares.
const APIVersion = "gameday.dev/v1"

// The tasks, in the order in which they are asked and printed.
const (
	Detection    = "detection"
	Localization = "localization"
	Diagnosis    = "diagnosis"
	Mitigation   = "mitigation"
)

// Tasks returns every task in order.
func Tasks() []string { return []string{Detection, Localization, Diagnosis, Mitigation} }

// Problem is one problem.yaml. One problem has all its tasks; there is never a copy per task.
type Problem struct {
	APIVersion string   `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string   `yaml:"kind" json:"kind" check:"required,oneof=Problem"`
	ID         string   `yaml:"id" json:"id" check:"required"`
	Version    int      `yaml:"version" json:"version" check:"required,min=1"` // bumped when its difficulty changes
	Title      string   `yaml:"title" json:"title" check:"required"`
	Author     string   `yaml:"author" json:"author" check:"required"`
	Tags       []string `yaml:"tags" json:"tags"`
	Difficulty string   `yaml:"difficulty" json:"difficulty" check:"required,oneof=easy|medium|hard"`
	// App is the id of the application under workloads/apps.
	App string `yaml:"app" json:"app" check:"required"`
	// Load is the load during the whole trial.
	Load Load `yaml:"load" json:"load" check:"required"`
	// Tasks that are graded: detection, localization, diagnosis, mitigation.
	Tasks []string `yaml:"tasks" json:"tasks" check:"required,oneof=detection|localization|diagnosis|mitigation"`
	// Budget of the agent.
	Budget Budget `yaml:"budget" json:"budget" check:"required"`
	// Prompt is told to the agent. It may hold ${parameters} that do not give the answer away, for example ${namespace}.
	Prompt string `yaml:"prompt" json:"prompt" check:"required"`
	// Parameters are drawn from the seed, each from a declared set; seed 0 takes the first value of each.
	Parameters map[string][]string `yaml:"parameters" json:"parameters"`
	// Variants are drawn as a whole, for parameters that belong together (a service and its port); seed 0 takes the first.
	// Every variant sets the same parameters, none of which is in Parameters.
	Variants []map[string]string `yaml:"variants,omitempty" json:"variants,omitempty"`
}

// Load names a load profile of the app and may override its rate.
type Load struct {
	Profile string  `yaml:"profile" json:"profile" check:"required"`
	Rate    float64 `yaml:"rate,omitempty" json:"rate,omitempty" check:"min=0"` // requests per second; 0 keeps the profile's
}

// Budget bounds an agent's work on this problem.
type Budget struct {
	Steps int           `yaml:"steps" json:"steps" check:"required,min=1"`
	Time  time.Duration `yaml:"time" json:"time" check:"required,min=1s"`
	// Tokens and CostUSD hold an agent to what it reports that it spends; 0 is no bound.
	Tokens  int64   `yaml:"tokens,omitempty" json:"tokens,omitempty" check:"min=0"`
	CostUSD float64 `yaml:"costUSD,omitempty" json:"costUSD,omitempty" check:"min=0"`
}

// Draw holds one value per parameter. It always has "namespace": the app's id where the problem does not declare it.
type Draw map[string]string

// MarshalJSON prints the time in seconds.
func (b Budget) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Steps   int     `json:"steps"`
		Seconds float64 `json:"seconds"`
		Tokens  int64   `json:"tokens,omitempty"`
		CostUSD float64 `json:"costUSD,omitempty"`
	}{b.Steps, b.Time.Seconds(), b.Tokens, b.CostUSD})
}
