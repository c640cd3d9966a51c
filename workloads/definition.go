package workloads

import (
	"io/fs"
	"maps"
	"slices"

	"github.com/gameday-bench/gameday/workloads/load/traffic"
)

// APIVersion is what every file of an application declares.
const APIVersion = "gameday.dev/v1"

// Definition is one application directory: app.yaml, topology.yaml, slo.yaml, load.yaml and manifests/.
type Definition struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	// Namespace is where the application is deployed unless a problem says otherwise.
	Namespace string `json:"namespace"`
	// Components are the parts and who calls whom.
	Components []Component `json:"components"`
	// SLOs are the user-path objectives, measured at the load generator; Services are what each service is expected to do.
	SLOs     []SLO         `json:"slos"`
	Services []Expectation `json:"services"`
	// Profiles are the load profiles by name.
	Profiles map[string]traffic.Profile `json:"profiles"`
	// Invariants hold over the application's data, whatever anybody repairs.
	Invariants []Invariant `json:"invariants"`
	// Dir holds the files, Path is its name for errors and users, Digest is sha256: over all of them.
	Dir    fs.FS  `json:"-"`
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// appFile is app.yaml.
type appFile struct {
	APIVersion  string      `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind        string      `yaml:"kind" check:"required,oneof=App"`
	ID          string      `yaml:"id" check:"required"`
	Title       string      `yaml:"title" check:"required"`
	Description string      `yaml:"description" check:"required"`
	Namespace   string      `yaml:"namespace" check:"required"`
	Invariants  []Invariant `yaml:"invariants"`
}

// topologyFile is topology.yaml.
type topologyFile struct {
	APIVersion string      `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string      `yaml:"kind" check:"required,oneof=Topology"`
	Components []Component `yaml:"components" check:"required"`
}

// Component is one part of an application.
type Component struct {
	// Name is the name of the workload and of the Service in front of it.
	Name string `yaml:"name" json:"name" check:"required"`
	// Kind is the workload's kind.
	Kind string `yaml:"kind" json:"kind" check:"required,oneof=Deployment|StatefulSet"`
	// Role is frontend, service, store or cache.
	Role string `yaml:"role" json:"role" check:"required,oneof=frontend|service|store|cache"`
	// Calls are the names of the components that it calls.
	Calls []string `yaml:"calls,omitempty" json:"calls,omitempty"`
}

// Invariant is a property of the application's data: a command in a container whose output must relate to its output
// before the fault.
type Invariant struct {
	Name string `yaml:"name" json:"name" check:"required"`
	// Workload is where the command runs, Kind/name, in Container where it is given.
	Workload  string   `yaml:"workload" json:"workload" check:"required"`
	Container string   `yaml:"container,omitempty" json:"container,omitempty"`
	Command   []string `yaml:"command" json:"command" check:"required"`
	// Expect is unchanged (same output), nondecreasing (integers, none smaller than before) or empty (no output at all).
	Expect string `yaml:"expect" json:"expect" check:"required,oneof=unchanged|nondecreasing|empty"`
}

// Edges returns caller and callee of every call, by name.
func (d *Definition) Edges() [][2]string {
	var out [][2]string
	for _, c := range d.Components {
		for _, callee := range c.Calls {
			out = append(out, [2]string{c.Name, callee})
		}
	}
	return out
}

// SLO returns the objective called name.
func (d *Definition) SLO(name string) (SLO, bool) {
	i := slices.IndexFunc(d.SLOs, func(s SLO) bool { return s.Name == name })
	if i < 0 {
		return SLO{}, false
	}
	return d.SLOs[i], true
}

// ProfileNames returns the names of the load profiles, sorted.
func (d *Definition) ProfileNames() []string { return slices.Sorted(maps.Keys(d.Profiles)) }
