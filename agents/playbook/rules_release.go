package playbook

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

func undo(name string) []string {
	return []string{"rollout undo deployment/" + name, fmt.Sprintf("rollout status deployment/%s --timeout=60s", name)}
}

// Fields of a Deployment that releases change.
const (
	imageField  = "spec.template.spec.containers[0].image"
	cpuField    = "spec.template.spec.containers[0].resources.limits.cpu"
	memoryField = "spec.template.spec.containers[0].resources.limits.memory"
)

// changed is the field that the last rollout of a Deployment changed, empty when it was none of those above.
func (s *scene) changed(ctx context.Context, d deployment) (string, error) {
	if s.sets == nil {
		var err error
		if s.sets, err = s.loadSets(ctx); err != nil {
			return "", err
		}
	}
	var rows [][]string
	for _, r := range s.sets {
		if r[0] == d.name {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(number(b[1]), number(a[1])) })
	if len(rows) < 2 {
		return "", nil
	}
	for i, field := range []string{imageField, cpuField, memoryField} {
		if rows[0][2+i] != rows[1][2+i] {
			return field, nil
		}
	}
	return "", nil
}

// loadSets reads the ReplicaSets, each with what it runs.
func (s *scene) loadSets(ctx context.Context) ([][]string, error) {
	const container = ".spec.template.spec.containers[0]"
	return s.table(ctx, "replicasets", ".metadata.ownerReferences[0].name", `.metadata.annotations.deployment\.kubernetes\.io/revision`,
		container+".image", container+".resources.limits.cpu", container+".resources.limits.memory")
}

// failingShare is the share of calls, in percent, from which on a service fails: a build that is only slow loses fewer.
const failingShare = 5

// failing is true of a service that is not all there, that alerts about errors or has too many, or whose callers see it fail.
func (s *scene) failing(d deployment) bool {
	if d.ready < d.replicas || s.alerting(d.name, "Error") || s.breaks(d.name, tooManyErrors) {
		return true
	}
	calls, errors := 0, 0
	for _, e := range s.edges {
		if e.Callee == d.name {
			calls, errors = calls+e.Calls, errors+e.Errors
		}
	}
	return errors > 0 && 100*errors >= failingShare*calls
}

// recentRollout: a service that shows symptoms and has had a rollout is rolled back.
func recentRollout(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, service := range s.suspects() {
		d, ok := s.deployment(service)
		if !ok || d.revision < 2 {
			continue
		}
		cause, weight := slowRelease, 60
		if s.failing(d) {
			cause, weight = buggyRelease, 65
		}
		field, err := s.changed(ctx, d)
		if err != nil {
			return nil, err
		}
		if field == cpuField || field == memoryField {
			cause = wrongResourceLimit
		}
		out = append(out, finding{
			weight: weight, components: []agents.Component{s.component("Deployment", service)}, mechanism: cause,
			field: field, why: fmt.Sprintf("%s shows symptoms since its revision %d", service, d.revision),
			repair: undo(service),
		})
	}
	return out, nil
}
