// Package problems holds what an agent is asked to solve: the schema of problem.yaml and its loader. It never holds an
// answer: faults, truth, repairs and cheats are in package truth, which nothing that faces an agent imports.
package problems

import "time"

// Problem is one problem.yaml. One problem has all its tasks; there is never a copy per task.
type Problem struct {
	APIVersion string   `yaml:"apiVersion" json:"apiVersion"` // gameday.dev/v1
	Kind       string   `yaml:"kind" json:"kind"`             // Problem
	ID         string   `yaml:"id" json:"id"`
	Version    int      `yaml:"version" json:"version"` // bumped when its difficulty changes
	Title      string   `yaml:"title" json:"title"`
	Author     string   `yaml:"author" json:"author"`
	Tags       []string `yaml:"tags" json:"tags"`
	Difficulty string   `yaml:"difficulty" json:"difficulty"` // easy, medium, hard
	// App is the id of the application under workloads/apps.
	App string `yaml:"app" json:"app"`
	// Load is the load during the whole trial.
	Load Load `yaml:"load" json:"load"`
	// Tasks that are graded: detection, localization, diagnosis, mitigation.
	Tasks []string `yaml:"tasks" json:"tasks"`
	// Budget of the agent.
	Budget Budget `yaml:"budget" json:"budget"`
	// Prompt is told to the agent. It may hold ${parameters} that do not give the answer away, for example ${namespace}.
	Prompt string `yaml:"prompt" json:"prompt"`
	// Parameters are drawn from the seed, each from a declared set; seed 0 takes the first value of each.
	Parameters map[string][]string `yaml:"parameters" json:"parameters"`
}

// Load names a load profile of the app and may override its rate.
type Load struct {
	Profile string  `yaml:"profile" json:"profile"`
	Rate    float64 `yaml:"rate,omitempty" json:"rate,omitempty"` // requests per second; 0 keeps the profile's
}

// Budget bounds an agent's work on this problem.
type Budget struct {
	Steps int           `yaml:"steps" json:"steps"`
	Time  time.Duration `yaml:"time" json:"time"`
}

// Draw holds one value per parameter. It always has "namespace".
type Draw map[string]string
