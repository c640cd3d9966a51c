package aci

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gameday-bench/gameday/agents"
)

// The tasks, in the order in which they are asked.
const (
	taskDetection    = "detection"
	taskLocalization = "localization"
	taskDiagnosis    = "diagnosis"
	taskMitigation   = "mitigation"
)

// maxComponents bounds a localization: naming everything is not an answer.
const maxComponents = 10

// clusterScoped are component kinds without a namespace.
var clusterScoped = []string{"Node", "Namespace"}

// submissions holds the answers. The first valid one of a task counts.
type submissions struct {
	mu      sync.Mutex
	answers agents.Submission
}

func (s *submissions) get() agents.Submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers
}

// accept stores a valid answer with put, unless taken says that there is one.
func (s *submissions) accept(task string, taken func(*agents.Submission) bool, put func(*agents.Submission)) output {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken(&s.answers) {
		return failed("duplicate_submission: %s was submitted before; the first valid submission counts and this one was ignored", task)
	}
	put(&s.answers)
	return text("accepted: " + task)
}

func (s *Session) submitDetection(a detectionArgs) output {
	if out, ok := s.asked(taskDetection); !ok {
		return out
	}
	if a.Anomaly == nil {
		return failed("malformed_submission: anomaly: want true or false")
	}
	answer := &agents.Detection{Anomaly: *a.Anomaly, At: s.config.Clock.Now().UTC()}
	return s.hands.accept(taskDetection,
		func(a *agents.Submission) bool { return a.Detection != nil }, func(a *agents.Submission) { a.Detection = answer })
}

func (s *Session) submitLocalization(a localizationArgs) output {
	if out, ok := s.asked(taskLocalization); !ok {
		return out
	}
	if len(a.Components) == 0 || len(a.Components) > maxComponents {
		return failed("malformed_submission: components: name 1 to %d components, the most likely first", maxComponents)
	}
	answer := &agents.Localization{At: s.config.Clock.Now().UTC()}
	for i, arg := range a.Components {
		c, err := s.component(arg)
		if err != nil {
			return failed("malformed_submission: components[%d]: %v", i, err)
		}
		if slices.Contains(answer.Components, c) {
			return failed("malformed_submission: components[%d]: %s %s is named twice", i, c.Kind, c.Name)
		}
		answer.Components = append(answer.Components, c)
	}
	return s.hands.accept(taskLocalization,
		func(a *agents.Submission) bool { return a.Localization != nil }, func(a *agents.Submission) { a.Localization = answer })
}

func (s *Session) submitDiagnosis(a diagnosisArgs) output {
	if out, ok := s.asked(taskDiagnosis); !ok {
		return out
	}
	c, err := s.component(a.Component)
	if err != nil {
		return failed("malformed_submission: component: %v", err)
	}
	if !slices.Contains(s.config.Brief.Mechanisms, a.Mechanism) {
		return failed("malformed_submission: mechanism: %q is not one of: %s", a.Mechanism, strings.Join(s.config.Brief.Mechanisms, ", "))
	}
	answer := &agents.Diagnosis{
		Component: c, Mechanism: a.Mechanism, Field: a.Field, Explanation: a.Explanation, At: s.config.Clock.Now().UTC(),
	}
	return s.hands.accept(taskDiagnosis,
		func(a *agents.Submission) bool { return a.Diagnosis != nil }, func(a *agents.Submission) { a.Diagnosis = answer })
}

func (s *Session) submitMitigation(a mitigationArgs) output {
	if out, ok := s.asked(taskMitigation); !ok {
		return out
	}
	answer := &agents.Mitigation{Summary: a.Summary, At: s.config.Clock.Now().UTC()}
	return s.hands.accept(taskMitigation,
		func(a *agents.Submission) bool { return a.Mitigation != nil }, func(a *agents.Submission) { a.Mitigation = answer })
}

func (s *Session) asked(task string) (output, bool) {
	if slices.Contains(s.config.Brief.Tasks, task) {
		return output{}, true
	}
	return failed("task_not_asked: %s is not among the tasks of this problem: %s", task, strings.Join(s.config.Brief.Tasks, ", ")), false
}

// component validates a component and completes it: the kind in its own spelling, the application's namespace where none is
// given and the kind has one.
func (s *Session) component(a componentArg) (agents.Component, error) {
	kinds := s.config.Brief.ComponentKinds
	i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, a.Kind) })
	if i < 0 {
		return agents.Component{}, fmt.Errorf("kind: %q is not one of: %s", a.Kind, strings.Join(kinds, ", "))
	}
	if a.Name == "" || strings.ContainsAny(a.Name, " \t\n") || len(a.Name) > 253 {
		return agents.Component{}, fmt.Errorf("name: %q is no name of an object", a.Name)
	}
	c := agents.Component{Kind: kinds[i], Name: a.Name, Namespace: a.Namespace}
	switch {
	case slices.Contains(clusterScoped, c.Kind):
		c.Namespace = ""
	case c.Namespace == "":
		c.Namespace = s.config.Brief.Namespace
	}
	return c, nil
}
