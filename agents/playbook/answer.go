package playbook

import (
	"context"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

// answer hands in what was found, the heaviest finding first, and repairs it before it says so.
func (s *scene) answer(ctx context.Context, found []finding, anomaly bool) error {
	if s.asked("detection") {
		if err := agents.Submit(ctx, s.cloud, "submit_detection", map[string]any{"anomaly": anomaly}); err != nil {
			return err
		}
	}
	if !anomaly {
		return nil
	}
	if len(found) == 0 {
		return s.answerSuspects(ctx)
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
		result, err := s.do(ctx, "kubectl", map[string]any{"command": command, "timeout_seconds": 90})
		if err != nil {
			return err
		}
		if result.IsError {
			return nil // The repair did not work out: it is not claimed.
		}
	}
	return agents.Submit(ctx, s.cloud, "submit_mitigation", map[string]any{"summary": best.why})
}

// answerSuspects names the services that show symptoms when no rule has found more.
func (s *scene) answerSuspects(ctx context.Context) error {
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
