// Package playbook is the agent that works by rules: a triage playbook over cluster state, alerts, logs and traces, as teams
// write them down, with no language model. It is the cheap baseline of every suite: it knows the common faults and misses the rest.
package playbook

import (
	"cmp"
	"context"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

const (
	// looks is how often it looks before it believes that nothing is wrong, pause how many seconds lie between.
	looks = 3
	pause = 8.0
)

// Agent plays the playbook.
type Agent struct{}

var _ agents.Agent = Agent{}

// finding is what a rule suspects.
type finding struct {
	// weight says how sure the rule is; the heaviest finding is believed.
	weight     int
	components []agents.Component
	mechanism  mechanism
	field      string
	why        string
	// repair are kubectl command lines; none where the playbook knows no repair.
	repair []string
}

// rule looks for one kind of fault.
type rule func(ctx context.Context, s *scene) ([]finding, error)

// rules are all rules. Those over declared state need no alert; those over behaviour look where an alert points.
func rules() []rule {
	return []rule{nodesReady, replicasZero, targetPorts, podsBroken, accessDenied, slowNode, recentRollout, unreachableStore}
}

// Solve looks, decides, repairs and answers.
func (Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	s := &scene{brief: brief, cloud: cloud}
	var found []finding
	for look := range looks {
		if look > 0 {
			if _, err := agents.Do(ctx, cloud, "wait", map[string]any{"seconds": pause}); err != nil {
				return err
			}
		}
		if err := s.load(ctx); err != nil {
			return err
		}
		for _, r := range rules() {
			more, err := r(ctx, s)
			if err != nil {
				return err
			}
			found = append(found, more...)
		}
		if len(found) > 0 {
			break
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(b.weight, a.weight) })
	return s.answer(ctx, found)
}

// answer hands in what was found, the heaviest finding first, and repairs it before it says so.
func (s *scene) answer(ctx context.Context, found []finding) error {
	anomaly := len(found) > 0 || len(s.alerts) > 0
	if s.asked("detection") {
		if err := agents.Submit(ctx, s.cloud, "submit_detection", map[string]any{"anomaly": anomaly}); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		return s.answerAlerts(ctx)
	}
	best := found[0]
	if s.asked("localization") {
		if err := agents.Submit(ctx, s.cloud, "submit_localization", map[string]any{"components": components(found)}); err != nil {
			return err
		}
	}
	if s.asked("diagnosis") && slices.Contains(s.brief.Mechanisms, best.mechanism.String()) {
		args := map[string]any{"component": best.components[0], "mechanism": best.mechanism.String(), "explanation": best.why}
		if best.field != "" {
			args["field"] = best.field
		}
		if err := agents.Submit(ctx, s.cloud, "submit_diagnosis", args); err != nil {
			return err
		}
	}
	if !s.asked("mitigation") || len(best.repair) == 0 {
		return nil
	}
	for _, command := range best.repair {
		result, err := agents.Do(ctx, s.cloud, "kubectl", map[string]any{"command": command, "timeout_seconds": 90})
		if err != nil {
			return err
		}
		if result.IsError {
			return nil // The repair did not work out: it is not claimed.
		}
	}
	return agents.Submit(ctx, s.cloud, "submit_mitigation", map[string]any{"summary": best.why})
}

// answerAlerts names the services that alerts are about when no rule has found more.
func (s *scene) answerAlerts(ctx context.Context) error {
	var suspects []finding
	for _, service := range s.suspects() {
		suspects = append(suspects, finding{components: []agents.Component{s.component("Deployment", service)}})
	}
	if len(suspects) == 0 || !s.asked("localization") {
		return nil
	}
	return agents.Submit(ctx, s.cloud, "submit_localization", map[string]any{"components": components(suspects)})
}

// components are the components of all findings, the heaviest first, each once, at most 5.
func components(found []finding) []agents.Component {
	var out []agents.Component
	for _, f := range found {
		for _, c := range f.components {
			if !slices.Contains(out, c) && len(out) < 5 {
				out = append(out, c)
			}
		}
	}
	return out
}

func (s *scene) asked(task string) bool { return slices.Contains(s.brief.Tasks, task) }
