package playbook

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/agents"
)

// nodesReady: a node that is not Ready is drained.
func nodesReady(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, n := range s.nodes {
		if n[2] == "True" {
			continue
		}
		out = append(out, finding{
			weight: 100, components: []agents.Component{s.component("Node", n[0])}, mechanism: nodeFailure,
			why:    fmt.Sprintf("node %s is not Ready", n[0]),
			repair: []string{"cordon " + n[0], "drain " + n[0] + " --ignore-daemonsets --delete-emptydir-data --force --timeout=60s"},
		})
	}
	return out, nil
}

// scaledDown reads what the deployment controller says about it.
var scaledDown = regexp.MustCompile(`Scaled down replica set (\S+) from (\d+) to 0`)

// replicasZero: a Deployment without replicas gets back what it had.
func replicasZero(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, d := range s.deployments {
		if d.replicas > 0 {
			continue
		}
		before := "1"
		events, err := s.do(ctx, "get_events", map[string]any{"for": "deployment/" + d.name})
		if err != nil {
			return nil, err
		}
		if m := scaledDown.FindStringSubmatch(events.Output); m != nil {
			before = m[2]
		}
		out = append(out, finding{
			weight: 90, components: []agents.Component{s.component("Deployment", d.name)}, mechanism: scaledToZero,
			field: "spec.replicas", why: fmt.Sprintf("deployment %s has 0 replicas", d.name),
			repair: []string{
				fmt.Sprintf("scale deployment/%s --replicas=%s", d.name, before),
				fmt.Sprintf("rollout status deployment/%s --timeout=60s", d.name),
			},
		})
	}
	return out, nil
}

// targetPorts: a Service whose target port no container has is pointed at the port that its name, or its number, says.
func targetPorts(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, svc := range s.services {
		name, selector, target := svc[0], svc[1], svc[2]
		d, ok := s.deployment(selector)
		if !ok || target == "<none>" || slices.Contains(d.ports, target) || slices.Contains(d.portNames, target) {
			continue
		}
		right := ""
		switch {
		case slices.Contains(d.portNames, svc[4]):
			right = fmt.Sprintf("%q", svc[4])
		case slices.Contains(d.ports, svc[3]):
			right = svc[3]
		case len(d.ports) > 0 && d.ports[0] != "<none>":
			right = d.ports[0]
		default:
			continue
		}
		out = append(out, finding{
			weight: 95, components: []agents.Component{s.component("Service", name)}, mechanism: wrongPort,
			field: "spec.ports[0].targetPort", why: fmt.Sprintf("service %s targets port %s, which no container of %s has", name, target, selector),
			repair: []string{fmt.Sprintf(`patch service %s --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":%s}]'`, name, right)},
		})
	}
	return out, nil
}

// waitingReasons is what the kubelet says and what it means: of several, the last counts.
var waitingReasons = []struct {
	reason string
	cause  mechanism
}{
	{"CrashLoopBackOff", buggyRelease},
	{"CreateContainerConfigError", wrongConfigValue},
	{"ImagePullBackOff", wrongImage},
	{"ErrImagePull", wrongImage},
	{"InvalidImageName", wrongImage},
}

// podsBroken: pods that cannot start; when it came with a rollout, the rollout is undone.
func podsBroken(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, p := range s.pods {
		cause := unknown
		for _, w := range waitingReasons {
			if strings.Contains(p.reason, w.reason) {
				cause = w.cause
			}
		}
		if p.phase == "Pending" && p.node == "<none>" {
			cause = unschedulable
		}
		if cause == unknown {
			continue
		}
		f := finding{
			weight: 70, components: []agents.Component{s.component("Deployment", p.app)}, mechanism: cause,
			why: fmt.Sprintf("pod %s is %s: %s", p.name, p.phase, p.reason),
		}
		if d, ok := s.deployment(p.app); ok && d.revision > 1 {
			field, err := s.changed(ctx, d)
			if err != nil {
				return nil, err
			}
			f.field, f.repair = field, undo(p.app)
		}
		out = append(out, f)
	}
	return out, nil
}
