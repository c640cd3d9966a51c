package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Types of objectives.
const (
	Availability = "availability"
	Latency      = "latency"
)

// sloFile is slo.yaml: what users may expect of an application, and what its services are expected to do.
type sloFile struct {
	APIVersion string `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string `yaml:"kind" check:"required,oneof=SLOs"`
	// Objectives are measured at the load generator: they are what the user sees.
	Objectives []SLO `yaml:"objectives" check:"required"`
	// Services are the thresholds of the golden-signal alerts, one entry per service.
	Services []Expectation `yaml:"services"`
}

// SLO is one user-path objective over the requests of the load generator.
type SLO struct {
	Name        string `yaml:"name" json:"name" check:"required"`
	Description string `yaml:"description" json:"description"`
	// Type is availability (the share of good requests) or latency (a quantile of the time to the answer, from the moment
	// at which the request was due).
	Type string `yaml:"type" json:"type" check:"required,oneof=availability|latency"`
	// Routes are the names of the routes of the load profile that count; empty means all.
	Routes []string `yaml:"routes,omitempty" json:"routes,omitempty"`
	// Target is the least share of good requests in (0,1], for availability.
	Target float64 `yaml:"target,omitempty" json:"target,omitempty" check:"min=0"`
	// Quantile in (0,1) may take at most Threshold, for latency.
	Quantile  float64       `yaml:"quantile,omitempty" json:"quantile,omitempty" check:"min=0"`
	Threshold time.Duration `yaml:"threshold,omitempty" json:"threshold,omitempty"`
}

// Expectation is what one service does when it is healthy.
type Expectation struct {
	// Service is the component's name.
	Service string `yaml:"service" json:"service" check:"required"`
	// Errors is the highest share of failed requests, in (0,1).
	Errors float64 `yaml:"errors" json:"errors" check:"required"`
	// Latency is the highest 95th percentile.
	Latency time.Duration `yaml:"latency" json:"latency" check:"required,min=1ms"`
}

// parseSLOs reads a slo.yaml. The error names every mistake with its place.
func parseSLOs(file string, data []byte) (sloFile, error) {
	var out sloFile
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return out, err
	}
	if err := doc.Decode(&out); err != nil {
		return out, err
	}
	var list yamlx.ErrorList
	var names []string
	for i, o := range out.Objectives {
		at := yamlx.Index("objectives", i)
		if slices.Contains(names, o.Name) {
			list = append(list, doc.Problem(at+".name", "objective %q is there twice", o.Name))
		}
		names = append(names, o.Name)
		if what := o.invalid(); what != "" {
			list = append(list, doc.Problem(at, "%s", what))
		}
	}
	for i, e := range out.Services {
		if e.Errors <= 0 || e.Errors >= 1 {
			list = append(list, doc.Problem(yamlx.Index("services", i)+".errors", "want a share between 0 and 1, got %v", e.Errors))
		}
	}
	return out, list.Err()
}

func (o SLO) invalid() string {
	switch {
	case o.Type == Availability && (o.Target <= 0 || o.Target > 1):
		return fmt.Sprintf("target of an availability objective: want a share in (0,1], got %v", o.Target)
	case o.Type == Availability && (o.Quantile != 0 || o.Threshold != 0):
		return "quantile and threshold are for latency objectives only"
	case o.Type == Latency && (o.Quantile <= 0 || o.Quantile >= 1):
		return fmt.Sprintf("quantile of a latency objective: want a number in (0,1), got %v", o.Quantile)
	case o.Type == Latency && o.Threshold <= 0:
		return "threshold of a latency objective: want a duration, for example 250ms"
	}
	return ""
}
