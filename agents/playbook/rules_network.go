package playbook

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

const (
	// slowMS is how much longer a caller may wait than the callee works.
	slowMS = 120
	// slowShare is how much of the traffic of a node must be slow on the way, in percent, for the node to be suspected.
	slowShare = 60
	// slowEdges is how many pairs of caller and callee must be slow: with one alone it may as well be one of the two.
	slowEdges = 2
)

// onTheWay says whether the calls of an edge are slow on the way, and whether they say something about the way at all: failed
// RPCs may have waited for whom the callee calls, and a trace does not tell a lost call from a refused one.
func (s *scene) onTheWay(e edge) (slow, telling bool) {
	d, _ := s.deployment(e.Callee)
	if e.Calls < fewCalls || e.Errors*2 > e.Calls && (!e.measured || d.component == "service") {
		return false, false
	}
	return e.P50MS-e.CalleeP50MS > slowMS, true
}

// slowNode: calls that are slow on the way, all to or from one node. The node is cordoned and its services are moved.
func slowNode(_ context.Context, s *scene) ([]finding, error) {
	slow, fast := map[string]int{}, map[string]int{}
	edges, arrives := map[string]int{}, map[string]bool{}
	for _, e := range s.edges {
		late, telling := s.onTheWay(e)
		if !telling {
			continue
		}
		for _, node := range s.nodesOf(e.Callee, e.Caller) {
			if !late {
				fast[node] += e.Calls
				continue
			}
			slow[node] += e.Calls
			edges[node]++
			arrives[node] = arrives[node] || !e.mostlyFails()
		}
	}
	share := func(node string) int { return 100 * slow[node] / (slow[node] + fast[node]) }
	best := ""
	for _, node := range slices.Sorted(maps.Keys(slow)) {
		if best == "" || share(node) > share(best) {
			best = node
		}
	}
	if best == "" || share(best) < slowShare || edges[best] < slowEdges {
		return nil, nil
	}
	cause := networkPartition
	if arrives[best] {
		cause = networkDelay
	}
	return []finding{{
		weight: 58, components: []agents.Component{s.component("Node", best)}, mechanism: cause,
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

// unreachableStore: most calls of one service to its store fail and are not refused, as far as one can tell. The playbook suspects the network between
// them and leaves the repair to people.
func unreachableStore(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, e := range s.edges {
		d, ok := s.deployment(e.Callee)
		if !ok || d.component != "store" || e.Calls < fewCalls || !e.mostlyFails() {
			continue
		}
		cause, component := networkPartition, s.component("Deployment", e.Callee)
		if d.ready == 0 {
			cause = dependencyDown
		}
		out = append(out, finding{
			weight: 50, components: []agents.Component{component, s.component("Deployment", e.Caller)}, mechanism: cause,
			why: fmt.Sprintf("%d of %d calls of %s to %s fail", max(e.lost, e.Errors), e.Calls, e.Caller, e.Callee),
		})
	}
	return out, nil
}
