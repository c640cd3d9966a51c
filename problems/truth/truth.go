// Package truth holds the answers: the schema of truth.yaml and its loader. The orchestrator and the graders read it;
// no package that faces an agent may import it.
package truth

import (
	"time"

	"github.com/gameday-bench/gameday/agents"
)

// Truth is one truth.yaml. Strings may hold ${parameters} of the problem's draw; Resolve fills them in.
type Truth struct {
	APIVersion string `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string `yaml:"kind" json:"kind" check:"required,oneof=Truth"`
	// Canary marks the file so that it can be found in training data.
	Canary string `yaml:"canary" json:"canary" check:"required"`
	// Runtime holds further parameters that are read from the live system after the baseline gate and before the injection:
	// a name and an expression of faults.ReadRuntime, for example node: nodeOf Deployment/${target}. They join the draw, so
	// they are recorded with the trial, and fill in the rest of the truth: Resolve leaves them in place until then.
	Runtime map[string]string `yaml:"runtime,omitempty" json:"runtime,omitempty"`
	// Faults are injected together, in order, and recovered in reverse.
	Faults []FaultRef `yaml:"faults" json:"faults" check:"required"`
	// Symptom is what must be observable before an agent is asked.
	Symptom Symptom `yaml:"symptom" json:"symptom" check:"required"`
	// Components is where the fault is. Naming any alias of a component is naming it.
	Components []Component `yaml:"components" json:"components" check:"required"`
	RootCause  RootCause   `yaml:"rootCause" json:"rootCause" check:"required"`
	// Repair is the reference repair: what the agent oracle does, through the ACI alone.
	Repair []Step `yaml:"repair" json:"repair"`
	// Hacks are what must not pass as a repair of this problem.
	Hacks []Hack `yaml:"hacks" json:"hacks"`
	// AllowedChanges are the changes to the system, beyond the fault itself, that a true repair may leave behind.
	AllowedChanges []AllowedChange `yaml:"allowedChanges" json:"allowedChanges"`
}

// FaultRef names a fault of the catalogue and its parameters.
type FaultRef struct {
	ID     string            `yaml:"id" json:"id" check:"required"`
	Params map[string]string `yaml:"params" json:"params"`
}

// Symptom is observable when any of its signals is. A silent problem has none, and says why.
type Symptom struct {
	Silent string   `yaml:"silent,omitempty" json:"silent,omitempty"`
	Any    []Signal `yaml:"any,omitempty" json:"any,omitempty"`
	// Within is how long after the injection it must show.
	Within time.Duration `yaml:"within" json:"within"`
}

// Signal is one observable thing: exactly one field is set.
type Signal struct {
	// Alert is the name of a firing alert; Labels must be among its labels.
	Alert  string            `yaml:"alert,omitempty" json:"alert,omitempty"`
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	// Query is a PromQL expression that returns at least one sample while the symptom shows.
	Query string `yaml:"query,omitempty" json:"query,omitempty"`
	// SLO is the name of an objective of the app that is violated.
	SLO string `yaml:"slo,omitempty" json:"slo,omitempty"`
}

// Component is a true location with the other names under which it counts as found.
type Component struct {
	agents.Component `yaml:",inline"`
	Aliases          []agents.Component `yaml:"aliases,omitempty" json:"aliases,omitempty"`
}

// RootCause is the structured diagnosis.
type RootCause struct {
	Component agents.Component `yaml:"component" json:"component" check:"required"`
	// AlsoComponents are accepted as Component, too.
	AlsoComponents []agents.Component `yaml:"alsoComponents,omitempty" json:"alsoComponents,omitempty"`
	// Mechanism is an id of the taxonomy; AlsoMechanisms are accepted, too.
	Mechanism      string   `yaml:"mechanism" json:"mechanism" check:"required"`
	AlsoMechanisms []string `yaml:"alsoMechanisms,omitempty" json:"alsoMechanisms,omitempty"`
	// Field is the changed field, empty where there is none.
	Field string `yaml:"field,omitempty" json:"field,omitempty"`
}

// Step is one act of a repair or a hack: exactly one field is set.
type Step struct {
	// Kubectl is one command line for the ACI's kubectl tool, without the word kubectl, for example "cordon ${node}".
	Kubectl string `yaml:"kubectl,omitempty" json:"kubectl,omitempty"`
	// Stdin goes to that command.
	Stdin string `yaml:"stdin,omitempty" json:"stdin,omitempty"`
	// Wait pauses.
	Wait time.Duration `yaml:"wait,omitempty" json:"wait,omitempty" check:"min=0s"`
}

// Hack is a cheat that must not be scored as a repair.
type Hack struct {
	Name  string `yaml:"name" json:"name" check:"required"`
	Steps []Step `yaml:"steps" json:"steps" check:"required"`
}

// AllowedChange permits one kind of object to differ from the baseline after a repair.
type AllowedChange struct {
	Kind      string `yaml:"kind" json:"kind" check:"required"`
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Name      string `yaml:"name,omitempty" json:"name,omitempty"` // empty: any
	// Fields that may differ, for example spec.unschedulable; empty: any field, but not deletion.
	Fields []string `yaml:"fields,omitempty" json:"fields,omitempty"`
}
