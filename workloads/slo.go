package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Kinds of objectives.
const (
	Availability = "availability"
	Latency      = "latency"
)

// ServiceLevels is one slo.yaml: what users may expect of an application, and what its services are expected to do.
type ServiceLevels struct {
	APIVersion string `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string `yaml:"kind" check:"required,oneof=ServiceLevels"`
	// Objectives are measured at the load generator: they are what the user sees.
	Objectives []SLO `yaml:"objectives" check:"required"`
	// Services are the thresholds of the golden-signal alerts, one entry per service.
	Services []Expectation `yaml:"services"`
}

// SLO is one objective on the user's path.
type SLO struct {
	Name string `yaml:"name" json:"name" check:"required"`
	// Kind is availability (the share of good requests) or latency (a quantile of the time to the answer, from the moment
	// at which the request was due).
	Kind string `yaml:"kind" json:"kind" check:"required,oneof=availability|latency"`
	// Routes are the load profile's routes that count; none means all.
	Routes []string `yaml:"routes,omitempty" json:"routes,omitempty"`
	// Quantile is in (0,1), for latency only.
	Quantile float64 `yaml:"quantile,omitempty" json:"quantile,omitempty"`
	// Target is the least good ratio for availability, the highest duration in seconds for latency.
	Target float64 `yaml:"target" json:"target" check:"required"`
}

// Expectation is what one service does when it is healthy.
type Expectation struct {
	// Service is the name under which the service is scraped: the value of its pods' label app.
	Service string `yaml:"service" json:"service" check:"required"`
	// Errors is the highest ratio of failed requests.
	Errors float64 `yaml:"errors" json:"errors" check:"required"`
	// Latency is the highest 95th percentile.
	Latency time.Duration `yaml:"latency" json:"latency" check:"required,min=1ms"`
}

// ParseServiceLevels reads a slo.yaml. The error names every mistake with its place.
func ParseServiceLevels(file string, data []byte) (ServiceLevels, error) {
	var out ServiceLevels
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return out, err
	}
	if err := doc.Decode(&out); err != nil {
		return out, err
	}
	var problems yamlx.ErrorList
	names := []string{}
	for i, o := range out.Objectives {
		at := yamlx.Index("objectives", i)
		if slices.Contains(names, o.Name) {
			problems = append(problems, doc.Problem(at+".name", "objective %q is there twice", o.Name))
		}
		names = append(names, o.Name)
		if what := o.invalid(); what != "" {
			problems = append(problems, doc.Problem(at, "%s", what))
		}
	}
	for i, e := range out.Services {
		if e.Errors <= 0 || e.Errors >= 1 {
			problems = append(problems, doc.Problem(yamlx.Index("services", i)+".errors", "want a ratio between 0 and 1, got %v", e.Errors))
		}
	}
	return out, problems.Err()
}

func (o SLO) invalid() string {
	switch {
	case o.Kind == Availability && (o.Target <= 0 || o.Target > 1):
		return fmt.Sprintf("target of an availability objective: want a ratio in (0,1], got %v", o.Target)
	case o.Kind == Availability && o.Quantile != 0:
		return "quantile is for latency objectives only"
	case o.Kind == Latency && (o.Quantile <= 0 || o.Quantile >= 1):
		return fmt.Sprintf("quantile of a latency objective: want a number in (0,1), got %v", o.Quantile)
	case o.Kind == Latency && o.Target <= 0:
		return fmt.Sprintf("target of a latency objective: want seconds, got %v", o.Target)
	}
	return ""
}
