// Package preflight is what is looked at before anything is made: one Check each, and the refusal to begin where one that is required is wrong.
// What is looked at, and how, is up to those who make something: kinds of clusters, executors, the doctor.
package preflight

import (
	"fmt"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Check is one thing that was looked at.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Required is false for what is only good to know.
	Required bool   `json:"required"`
	Detail   string `json:"detail"`
	// Hint says what to do where OK is false.
	Hint string `json:"hint,omitempty"`
}

// Passed is a required check that is right.
func Passed(name, format string, args ...any) Check {
	return Check{Name: name, OK: true, Required: true, Detail: fmt.Sprintf(format, args...)}
}

// Failed is a required check that is wrong.
func Failed(name, hint, format string, args ...any) Check {
	return Check{Name: name, Required: true, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Noted is something that is not as it should be, and does no harm.
func Noted(name, hint, format string, args ...any) Check {
	return Check{Name: name, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Refuse is nil where every required check is right; else it says which are not, of party infra, with what to do as its hint. subject is what was
// looked at; flags are what has to be added to gameday doctor to look at it again.
func Refuse(subject, flags string, checks []Check) error {
	var wrong, hints []string
	for _, c := range checks {
		if !c.Required || c.OK {
			continue
		}
		wrong = append(wrong, c.Name+": "+c.Detail)
		if c.Hint != "" {
			hints = append(hints, c.Name+": "+c.Hint)
		}
	}
	if wrong == nil {
		return nil
	}
	err := errs.Newf(errs.Infra, "%s is not ready: %s", subject, strings.Join(wrong, "; "))
	return errs.Hint(err, "%s", strings.Join(append(hints, strings.TrimSpace("see all with: gameday doctor "+flags)), "; "))
}
