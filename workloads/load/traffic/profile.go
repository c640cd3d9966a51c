// Package traffic is the program that stands in for the users of an application: an open-loop load generator.
//
// When requests are due and what they hold follows from the profile and its seed alone. A request is sent when it is due,
// whatever has become of the ones before it, and its latency counts from that moment: a system that answers slowly gets no
// fewer requests and cannot hide its delays. What cannot be sent because too many requests are under way is dropped, which
// counts as a failure.
package traffic

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Arrivals.
const (
	// Constant spaces requests evenly.
	Constant = "constant"
	// Poisson draws the time between requests from an exponential distribution, as independent users do.
	Poisson = "poisson"
)

// profilesFile is one load.yaml.
type profilesFile struct {
	APIVersion string             `yaml:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string             `yaml:"kind" check:"required,oneof=LoadProfiles"`
	Profiles   map[string]Profile `yaml:"profiles" check:"required"`
}

// Profile is one load: when requests are sent, and which.
type Profile struct {
	// Target is the base URL of the front door, for example http://frontend.hotel.svc.cluster.local:5000. ${namespace}
	// stands for the application's namespace.
	Target string `yaml:"target" json:"target" check:"required"`
	// Rate is the number of requests per second.
	Rate float64 `yaml:"rate" json:"rate" check:"required"`
	// Arrival is constant or poisson.
	Arrival string `yaml:"arrival" json:"arrival" check:"required,oneof=constant|poisson"`
	// Stages change the rate over time; none means Rate for ever. After the last stage its rate is held for ever.
	Stages []Stage `yaml:"stages,omitempty" json:"stages,omitempty"`
	// Seed fixes the arrival times and the requests. A run draws its own from this and the trial's seed.
	Seed uint64 `yaml:"seed" json:"seed"`
	// MaxInFlight bounds the requests under way. What is due beyond it is dropped, counted and a failure: nothing waits.
	// 0 means 512.
	MaxInFlight int `yaml:"maxInFlight,omitempty" json:"maxInFlight,omitempty" check:"min=0"`
	// Routes is the mix.
	Routes []Route `yaml:"routes" json:"routes" check:"required"`
}

// Stage is a part of the load. The rate goes linearly from what it was at the end of the stage before (the profile's Rate
// at the start) to Rate; a stage with a duration of 0 jumps. So a ramp is one stage, a hold is one with the rate of the
// stage before, a spike is a jump, a hold and a jump back.
type Stage struct {
	Rate     float64       `yaml:"rate" json:"rate" check:"min=0"`
	Duration time.Duration `yaml:"duration" json:"duration" check:"min=0s"`
}

// Route is one kind of request. Path, Headers and Body are templates of package text/template; see Draw for what they
// can call.
type Route struct {
	// Name is the value of the label route.
	Name   string `yaml:"name" json:"name" check:"required"`
	Method string `yaml:"method" json:"method" check:"required"`
	Path   string `yaml:"path" json:"path" check:"required"`
	// Body is sent with the content type of Headers, or as a form.
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Weight is the share of the route in the mix.
	Weight float64 `yaml:"weight" json:"weight" check:"required"`
	// Timeout bounds a request from the moment at which it was due.
	Timeout time.Duration `yaml:"timeout" json:"timeout" check:"required,min=1ms"`
	// ExpectStatus are the statuses of a good answer; none means 200.
	ExpectStatus []int `yaml:"expectStatus,omitempty" json:"expectStatus,omitempty"`
	// ExpectBody must be in a good answer's body, when it is set.
	ExpectBody string `yaml:"expectBody,omitempty" json:"expectBody,omitempty"`
}

// ParseProfiles reads a load.yaml and returns its profiles by name. The error names every mistake with its place.
func ParseProfiles(file string, data []byte) (map[string]Profile, error) {
	var out profilesFile
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return nil, err
	}
	if err := doc.Decode(&out); err != nil {
		return nil, err
	}
	var problems yamlx.ErrorList
	for name, p := range out.Profiles {
		p.check(func(path, format string, args ...any) {
			problems = append(problems, doc.Problem("profiles."+name+path, format, args...))
		})
	}
	slices.SortFunc(problems, func(a, b yamlx.Problem) int { return a.Line - b.Line })
	return out.Profiles, problems.Err()
}

// ParseProfile reads a single profile, as the generator gets it.
func ParseProfile(file string, data []byte) (Profile, error) {
	var p Profile
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return p, err
	}
	if err := doc.Decode(&p); err != nil {
		return p, err
	}
	var problems yamlx.ErrorList
	p.check(func(path, format string, args ...any) {
		problems = append(problems, doc.Problem(strings.TrimPrefix(path, "."), format, args...))
	})
	return p, problems.Err()
}

func (p Profile) check(fail func(path, format string, args ...any)) {
	if p.Rate <= 0 || p.Rate > maxRate {
		fail(".rate", "want requests per second in (0,%d], got %v", maxRate, p.Rate)
	}
	for i, s := range p.Stages {
		if s.Rate > maxRate {
			fail(yamlx.Index(".stages", i)+".rate", "want at most %d, got %v", maxRate, s.Rate)
		}
	}
	names := map[string]bool{}
	for i, r := range p.Routes {
		at := yamlx.Index(".routes", i)
		if names[r.Name] {
			fail(at+".name", "route %q is there twice", r.Name)
		}
		names[r.Name] = true
		if r.Weight < 0 {
			fail(at+".weight", "want a positive number, got %v", r.Weight)
		}
		if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead}, r.Method) {
			fail(at+".method", "unknown method %q", r.Method)
		}
		if _, err := compile(r); err != nil {
			fail(at, "%s", err)
		}
	}
}

// maxRate is far beyond what one generator can send; it catches a rate that was meant per minute.
const maxRate = 20000

// Expects reports whether status is one of a good answer.
func (r Route) Expects(status int) bool {
	if len(r.ExpectStatus) == 0 {
		return status == http.StatusOK
	}
	return slices.Contains(r.ExpectStatus, status)
}

// String describes the profile in a few words.
func (p Profile) String() string {
	return fmt.Sprintf("%g requests/s, %s arrivals, %d routes, %d stages, seed %d", p.Rate, p.Arrival, len(p.Routes), len(p.Stages), p.Seed)
}
