package workloads

import "time"

// LoadModel is what users of an application do: which requests, made of which values, how often.
type LoadModel struct {
	// Target is the base URL; it may hold the placeholder ${NAMESPACE}.
	Target string `yaml:"target" json:"target" check:"required"`
	// Timeout is when a user gives up.
	Timeout   time.Duration `yaml:"timeout" json:"timeout" check:"required"`
	Variables []Variable    `yaml:"variables" json:"variables"`
	Routes    []RouteModel  `yaml:"routes" json:"routes"`
	Profiles  []LoadProfile `yaml:"profiles" json:"profiles"`
}

// Variable is a value that is drawn anew for every request. Exactly one of its sources is set.
type Variable struct {
	Name      string     `yaml:"name" json:"name" check:"required"`
	Uniform   *Uniform   `yaml:"uniform" json:"uniform,omitempty"`
	Integer   *Integer   `yaml:"integer" json:"integer,omitempty"`
	Date      *Date      `yaml:"date" json:"date,omitempty"`
	DateAfter *DateAfter `yaml:"dateAfter" json:"dateAfter,omitempty"`
	Choice    []string   `yaml:"choice" json:"choice,omitempty"`
}

// Uniform is a number between From and To, written with Decimals digits after the point.
type Uniform struct {
	From     float64 `yaml:"from" json:"from"`
	To       float64 `yaml:"to" json:"to"`
	Decimals int     `yaml:"decimals" json:"decimals"`
}

// Integer is a whole number from From to To, both included.
type Integer struct {
	From int `yaml:"from" json:"from"`
	To   int `yaml:"to" json:"to"`
}

// Date is one of Days dates from First on, written YYYY-MM-DD.
type Date struct {
	First string `yaml:"first" json:"first" check:"required"`
	Days  int    `yaml:"days" json:"days" check:"min=1"`
}

// DateAfter is a date MinDays to MaxDays after another variable.
type DateAfter struct {
	Variable string `yaml:"variable" json:"variable" check:"required"`
	MinDays  int    `yaml:"minDays" json:"minDays"`
	MaxDays  int    `yaml:"maxDays" json:"maxDays"`
}

// RouteModel is one kind of request. Path and Form may hold {variable}; values are escaped for a query.
type RouteModel struct {
	ID     string  `yaml:"id" json:"id" check:"required"`
	Weight float64 `yaml:"weight" json:"weight" check:"required"`
	Method string  `yaml:"method" json:"method" check:"required,oneof=GET|POST|PUT|DELETE"`
	Path   string  `yaml:"path" json:"path" check:"required"`
	// Form is sent as an application/x-www-form-urlencoded body.
	Form string `yaml:"form" json:"form,omitempty"`
	// Codes are the status codes of a right answer.
	Codes []int `yaml:"codes" json:"codes" check:"required"`
}

// Arrival says how requests are spread in time.
type Arrival string

// The closed set of arrival distributions.
const (
	// Poisson draws exponential gaps.
	Poisson Arrival = "poisson"
	// Constant keeps equal gaps.
	Constant Arrival = "constant"
)

// LoadProfile is how much load there is.
type LoadProfile struct {
	ID      string      `yaml:"id" json:"id" check:"required"`
	Arrival Arrival     `yaml:"arrival" json:"arrival" check:"required,oneof=poisson|constant"`
	Stages  []LoadStage `yaml:"stages" json:"stages" check:"required"`
}

// LoadStage is a time of equal load. Rate is in requests per second. The last stage has duration 0: it lasts.
type LoadStage struct {
	Rate     float64       `yaml:"rate" json:"rate"`
	Duration time.Duration `yaml:"duration" json:"duration"`
}

// Profile returns the load profile with this id.
func (m LoadModel) Profile(id string) (LoadProfile, bool) {
	for _, p := range m.Profiles {
		if p.ID == id {
			return p, true
		}
	}
	return LoadProfile{}, false
}
