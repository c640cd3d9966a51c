package evaluator

import "slices"

// Node returns the topology's node for a component name: the name itself, or the workload that generated the pod.
func (t Topology) Node(name string) (string, bool) {
	nodes := t.names()
	if slices.Contains(nodes, name) {
		return name, true
	}
	for _, node := range nodes {
		if len(name) > len(node) && name[:len(node)] == node && generated.MatchString(name[len(node):]) {
			return node, true
		}
	}
	return "", false
}

func (t Topology) names() []string {
	nodes := slices.Clone(t.Nodes)
	for _, edge := range t.Edges {
		nodes = append(nodes, edge[0], edge[1])
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Distance is the number of calls between two components, whoever calls whom. It is false where one of them is not in the
// topology or nothing connects them.
func (t Topology) Distance(a, b string) (int, bool) {
	from, ok := t.Node(a)
	if !ok {
		return 0, false
	}
	to, ok := t.Node(b)
	if !ok {
		return 0, false
	}
	hops := map[string]int{from: 0}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == to {
			return hops[at], true
		}
		for _, edge := range t.Edges {
			for _, step := range [][2]string{{edge[0], edge[1]}, {edge[1], edge[0]}} {
				if _, seen := hops[step[1]]; step[0] == at && !seen {
					hops[step[1]] = hops[at] + 1
					queue = append(queue, step[1])
				}
			}
		}
	}
	return 0, false
}
