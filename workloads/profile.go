package workloads

import (
	"time"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// loadFile is load.yaml.
type loadFile struct {
	APIVersion string             `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string             `yaml:"kind" check:"required,oneof=Load"`
	Profiles   map[string]Profile `yaml:"profiles" check:"required"`
}

// Profile is an open-loop load: requests are sent when they are due, however the earlier ones fare.
type Profile struct {
	// Target is the base URL; ${namespace} is the application's.
	Target string `yaml:"target" json:"target" check:"required"`
	// Rate is in requests per second, where no stage says otherwise.
	Rate float64 `yaml:"rate" json:"rate" check:"required,min=0"`
	// Arrival is constant (evenly spaced) or poisson (as independent users do).
	Arrival string `yaml:"arrival" json:"arrival" check:"required,oneof=constant|poisson"`
	// Seed fixes arrival times, the mix and the bodies.
	Seed int64 `yaml:"seed" json:"seed"`
	// Stages change the rate over time, from the start; the last one's rate stays. Empty means Rate for ever.
	Stages []Stage `yaml:"stages,omitempty" json:"stages,omitempty"`
	Routes []Route `yaml:"routes" json:"routes" check:"required"`
}

// Stage moves the rate linearly to Rate over Duration.
type Stage struct {
	Duration time.Duration `yaml:"duration" json:"duration"`
	Rate     float64       `yaml:"rate" json:"rate" check:"min=0"`
}

// Route is one kind of request.
type Route struct {
	Name string `yaml:"name" json:"name" check:"required"`
	// Weight is the route's share of the mix, relative to the others.
	Weight float64 `yaml:"weight" json:"weight" check:"required,min=0"`
	Method string  `yaml:"method" json:"method" check:"required,oneof=GET|POST|PUT|PATCH|DELETE|HEAD"`
	// Path and Body are text/template templates over the seeded functions that the load generator documents.
	Path    string            `yaml:"path" json:"path" check:"required"`
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Timeout bounds a request from the moment at which it was due.
	Timeout time.Duration `yaml:"timeout" json:"timeout" check:"required,min=1ms"`
	// Expect are the status codes of a good answer; empty means 200.
	Expect []int `yaml:"expect,omitempty" json:"expect,omitempty"`
}

// parseProfiles reads a load.yaml. The error names every mistake with its place.
func parseProfiles(file string, data []byte) (loadFile, error) {
	var out loadFile
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return out, err
	}
	if err := doc.Decode(&out); err != nil {
		return out, err
	}
	var list yamlx.ErrorList
	for name, p := range out.Profiles {
		at := yamlx.Child("profiles", name)
		if p.Rate <= 0 || p.Rate > maxRate {
			list = append(list, doc.Problem(at+".rate", "want requests per second in (0,%d], got %v", maxRate, p.Rate))
		}
		seen := map[string]bool{}
		for i, r := range p.Routes {
			if seen[r.Name] {
				list = append(list, doc.Problem(yamlx.Index(at+".routes", i)+".name", "route %q is there twice", r.Name))
			}
			seen[r.Name] = true
		}
	}
	return out, list.Err()
}

// maxRate is far beyond what one generator can send; it catches a rate that was meant per minute.
const maxRate = 20000
