package playbook

import (
	"context"
	"fmt"
	"maps"
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
		events, err := agents.Do(ctx, s.cloud, "get_events", map[string]any{"for": "deployment/" + d.name})
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

// waitingReasons maps what the kubelet says to a mechanism.
var waitingReasons = map[string]mechanism{
	"ImagePullBackOff": wrongImage, "ErrImagePull": wrongImage, "InvalidImageName": wrongImage,
	"CreateContainerConfigError": wrongConfigValue, "CrashLoopBackOff": buggyRelease,
}

// podsBroken: pods that cannot start; when it came with a rollout, the rollout is undone.
func podsBroken(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, p := range s.pods {
		cause := unknown
		for reason, m := range waitingReasons {
			if strings.Contains(p.reason, reason) {
				cause = m
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
			f.repair = undo(p.app)
		}
		out = append(out, f)
	}
	return out, nil
}

func undo(name string) []string {
	return []string{"rollout undo deployment/" + name, fmt.Sprintf("rollout status deployment/%s --timeout=60s", name)}
}

// denied finds a store's refusal in a log line.
var denied = regexp.MustCompile(`(?i)(access|command) denied [^'"]*['"]?\w+`)

// accessDenied: the logs of what alerts say that its store refuses it. The playbook knows no repair: it has no credentials.
func accessDenied(ctx context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, service := range s.suspects() {
		logs, err := agents.Do(ctx, s.cloud, "get_logs", map[string]any{
			"target": "deployment/" + service, "contains": "denied", "since_seconds": 120, "tail": 20,
		})
		if err != nil {
			return nil, err
		}
		m := denied.FindString(logs.Output)
		if logs.IsError || m == "" {
			continue
		}
		components := []agents.Component{s.component("Deployment", service)}
		if store := s.storeOf(service); store != "" {
			components = append([]agents.Component{s.component("Deployment", store)}, components...)
		}
		out = append(out, finding{
			weight: 85, components: components, mechanism: permissionRevoked, why: fmt.Sprintf("%s logs: %s", service, m),
		})
	}
	return out, nil
}

// storeOf is the database that a service calls most.
func (s *scene) storeOf(service string) string {
	best, most := "", -1
	for _, e := range s.edges {
		d, ok := s.deployment(e.Callee)
		if e.Caller == service && ok && d.component == "store" && (strings.Contains(e.Callee, "sql") || most < 0) && e.Calls > most {
			best, most = e.Callee, e.Calls
		}
	}
	return best
}

const (
	// slowMS is how much longer a caller may wait than the callee works.
	slowMS = 120
	// slowShare is how much of the traffic of a node must be slow on the way, in percent, for the node to be suspected.
	slowShare = 60
)

// slowNode: calls that are slow on the way, all to or from one node. The node is cordoned and its services are moved.
func slowNode(_ context.Context, s *scene) ([]finding, error) {
	slow, fast := map[string]int{}, map[string]int{}
	for _, e := range s.edges {
		if e.Calls < 3 || e.Errors*2 > e.Calls {
			continue
		}
		into := fast
		if e.P50MS-e.CalleeP50MS > slowMS {
			into = slow
		}
		for _, node := range s.nodesOf(e.Callee, e.Caller) {
			into[node] += e.Calls
		}
	}
	share := func(node string) int { return 100 * slow[node] / (slow[node] + fast[node]) }
	best := ""
	for _, node := range slices.Sorted(maps.Keys(slow)) {
		if best == "" || share(node) > share(best) {
			best = node
		}
	}
	if best == "" || share(best) < slowShare {
		return nil, nil
	}
	return []finding{{
		weight: 58, components: []agents.Component{s.component("Node", best)}, mechanism: networkDelay,
		why: fmt.Sprintf("calls to and from the pods of node %s are slow on the way", best),
		repair: []string{
			"cordon " + best,
			"delete pods -l app.kubernetes.io/component=service --field-selector spec.nodeName=" + best,
			"wait --for=condition=Available deployment -l app.kubernetes.io/component=service --timeout=60s",
		},
	}}, nil
}

// nodesOf are the nodes on which the pods of apps run, each once.
func (s *scene) nodesOf(apps ...string) []string {
	var out []string
	for _, p := range s.pods {
		if slices.Contains(apps, p.app) && p.node != "<none>" && !slices.Contains(out, p.node) {
			out = append(out, p.node)
		}
	}
	return out
}

// failingShare is the share of calls, in percent, from which on a service fails: a build that is only slow loses fewer.
const failingShare = 5

// failing is true of a service that is not all there, that alerts about errors, or whose callers see it fail.
func (s *scene) failing(d deployment) bool {
	if d.ready < d.replicas || s.alerting(d.name, "Error") {
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

// recentRollout: a service that alerts and has had a rollout is rolled back.
func recentRollout(_ context.Context, s *scene) ([]finding, error) {
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
		out = append(out, finding{
			weight: weight, components: []agents.Component{s.component("Deployment", service)}, mechanism: cause,
			field: "spec.template.spec.containers[0].image", why: fmt.Sprintf("%s alerts since its revision %d", service, d.revision),
			repair: undo(service),
		})
	}
	return out, nil
}

// unreachableStore: most calls of one service to its store fail, without a refusal. The playbook suspects the network between
// them and leaves the repair to people.
func unreachableStore(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, e := range s.edges {
		d, ok := s.deployment(e.Callee)
		if !ok || d.component != "store" || e.Calls < 3 || e.Errors*2 < e.Calls {
			continue
		}
		cause, component := networkPartition, s.component("Deployment", e.Callee)
		if d.ready == 0 {
			cause = dependencyDown
		}
		out = append(out, finding{
			weight: 50, components: []agents.Component{component, s.component("Deployment", e.Caller)}, mechanism: cause,
			why: fmt.Sprintf("%d of %d calls of %s to %s fail", e.Errors, e.Calls, e.Caller, e.Callee),
		})
	}
	return out, nil
}
