package playbook

import (
	"context"
	"fmt"
	"strings"

	"github.com/gameday-bench/gameday/agents"
)

// ofPod is a finding about the Deployment of a pod. What came with a rollout is undone.
func (s *scene) ofPod(m sample, weight int, cause mechanism, why string) (finding, bool) {
	d, ok := s.deployment(s.app(m.labels["pod"]))
	if !ok {
		return finding{}, false
	}
	f := finding{weight: weight, components: []agents.Component{s.component("Deployment", d.name)}, mechanism: cause, why: why}
	if d.revision > 1 {
		f.repair = undo(d.name)
	}
	return f, true
}

// outOfMemory: containers that were killed for their memory within the last minute.
func outOfMemory(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, m := range s.over(killedOOM) {
		f, ok := s.ofPod(m, 72, memoryExhaustion, fmt.Sprintf("a container of pod %s was killed for its memory", m.labels["pod"]))
		if !ok {
			continue
		}
		if err := s.limited(ctx, &f, memoryField); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// throttled: a service that is slow or fails, and is kept off the processor in half of its periods or more.
func throttled(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, m := range s.over(throttledCPU) {
		app := s.app(m.labels["pod"])
		if !s.breaks(app, tooSlow, tooManyErrors) && !s.alerting(app, "High") {
			continue
		}
		f, ok := s.ofPod(m, 66, cpuExhaustion, fmt.Sprintf("pod %s is throttled in %.0f%% of its periods", m.labels["pod"], 100*m.value))
		if !ok {
			continue
		}
		if err := s.limited(ctx, &f, cpuField); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// limited makes it a wrong limit when the last rollout changed that limit.
func (s *scene) limited(ctx context.Context, f *finding, field string) error {
	d, _ := s.deployment(f.components[0].Name)
	if d.revision < 2 {
		return nil
	}
	changed, err := s.changed(ctx, d)
	if err == nil && changed == field {
		f.mechanism, f.field = wrongResourceLimit, field
	}
	return err
}

// eventsRead is of how many pods a look reads the events.
const eventsRead = 3

// probesFail: a pod that runs, answers for its metrics and is not ready, and events that say that a probe fails. When its calls
// fail too, the probe may well be right.
func probesFail(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	read := 0
	for _, m := range s.over(notReady) {
		app := s.app(m.labels["pod"])
		if read == eventsRead || app == "" || s.breaks(app, storeErrors, tooManyErrors) || s.callsAreLost(app) {
			continue
		}
		read++
		events, err := s.do(ctx, "get_events", map[string]any{"for": "pod/" + m.labels["pod"], "type": "Warning"})
		if err != nil {
			return nil, err
		}
		if events.IsError || !strings.Contains(events.Output, "probe failed") {
			continue
		}
		if f, ok := s.ofPod(m, 48, wrongProbe, fmt.Sprintf("pod %s runs, but a probe fails", m.labels["pod"])); ok {
			out = append(out, f)
		}
	}
	return out, nil
}

// callsAreLost is true when most calls of a service to another part get no answer.
func (s *scene) callsAreLost(service string) bool {
	for _, e := range s.edges {
		if e.Caller == service && e.Calls >= fewCalls && e.mostlyFails() {
			return true
		}
	}
	return false
}

// replicasMissing: a Deployment that has had fewer replicas than it wants for a while, and no better reason was found.
func replicasMissing(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, m := range s.over(missing) {
		if d, ok := s.deployment(m.service()); ok && d.ready < d.replicas {
			out = append(out, finding{
				weight: 30, components: []agents.Component{s.component("Deployment", d.name)}, mechanism: podFailure,
				why: fmt.Sprintf("%.0f replicas of %s have been missing for a while", m.value, d.name),
			})
		}
	}
	return out, nil
}
