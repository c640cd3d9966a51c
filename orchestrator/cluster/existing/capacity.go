package existing

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// room is an amount of what pods take: CPU in thousandths of a core, memory in bytes, and pods.
type room struct {
	cpu, memory, pods int64
}

func (r room) add(other room) room {
	return room{r.cpu + other.cpu, r.memory + other.memory, r.pods + other.pods}
}

func (r room) less(other room) room {
	return room{r.cpu - other.cpu, r.memory - other.memory, r.pods - other.pods}
}

// holds is true where other fits into r.
func (r room) holds(other room) bool {
	return r.cpu >= other.cpu && r.memory >= other.memory && r.pods >= other.pods
}

func (r room) String() string {
	return fmt.Sprintf("%.1f CPU, %.1f GiB and %d pods", float64(r.cpu)/1000, float64(r.memory)/(1<<30), r.pods)
}

// checkNodes looks at the nodes, and at what is free on those that take pods.
func (in *inspection) checkNodes(ctx context.Context) []preflight.Check {
	nodes, err := in.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return []preflight.Check{preflight.Failed("nodes", in.rightsHint(), "list nodes: %v", err)}
	}
	var open []corev1.Node
	var sick, foreign []string
	for _, n := range nodes.Items {
		switch {
		case !readiness.Node(&n):
			sick = append(sick, n.Name)
		case !takesPods(n):
		case n.Status.NodeInfo.OperatingSystem != "linux" || n.Status.NodeInfo.Architecture != runtime.GOARCH:
			foreign = append(foreign, n.Name)
		default:
			open = append(open, n)
		}
	}
	in.nodes = len(open)
	switch {
	case len(sick) > 0:
		return []preflight.Check{preflight.Failed("nodes", "repair or remove them: their alerts would be a part of every trial", "%d of %d are not ready: %s",
			len(sick), len(nodes.Items), strings.Join(sick, ", "))}
	case len(foreign) > 0:
		return []preflight.Check{preflight.Failed("nodes", "taint them, or use a gameday that was built for them", "%s are not linux/%s, which the images are made for",
			strings.Join(foreign, ", "), runtime.GOARCH)}
	case len(open) == 0:
		return []preflight.Check{preflight.Failed("nodes", "add a node without taints, or uncordon one", "none of %d takes pods", len(nodes.Items))}
	}
	return []preflight.Check{preflight.Passed("nodes", "%d take pods", len(open)), in.checkCapacity(ctx, open)}
}

// takesPods is true for nodes that take pods without tolerations.
func takesPods(n corev1.Node) bool {
	return !n.Spec.Unschedulable && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
}

// checkCapacity finds a place for every pod of every application, one application at a time.
func (in *inspection) checkCapacity(ctx context.Context, nodes []corev1.Node) preflight.Check {
	pods, err := in.kube.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return preflight.Failed("capacity", in.rightsHint(), "list pods: %v", err)
	}
	free := freeRoom(nodes, pods.Items)
	total, most := room{}, room{}
	for _, r := range free {
		total = total.add(r)
	}
	for _, set := range in.sets {
		wanted, err := demand(set)
		if err != nil {
			return preflight.Failed("capacity", "report this: the application's manifests cannot be read", "%v", err)
		}
		sum := room{}
		for _, r := range wanted {
			sum = sum.add(r)
		}
		hint := "remove what is not needed, add nodes, or use another cluster"
		if !total.holds(sum) {
			return preflight.Failed("capacity", hint, "an application with its instruments needs %s; free are %s", sum, total)
		}
		if left := place(wanted, free); left > 0 {
			return preflight.Failed("capacity", hint, "an application with its instruments needs %s; free are %s, but on no node together: %d pods find no place",
				sum, total, left)
		}
		most = room{max(most.cpu, sum.cpu), max(most.memory, sum.memory), max(most.pods, sum.pods)}
	}
	return preflight.Passed("capacity", "%s are needed, %s are free", most, total)
}

// freeRoom is what is left on each node: allocatable less what the pods there have requested.
func freeRoom(nodes []corev1.Node, pods []corev1.Pod) []room {
	taken := map[string]room{}
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			taken[p.Spec.NodeName] = taken[p.Spec.NodeName].add(requests(p.Spec))
		}
	}
	var out []room
	for _, n := range nodes {
		a := n.Status.Allocatable
		out = append(out, room{a.Cpu().MilliValue(), a.Memory().Value(), a.Pods().Value()}.less(taken[n.Name]))
	}
	return out
}

// requests is what the scheduler reserves for a pod: its containers together, or an init container that takes more.
func requests(spec corev1.PodSpec) room {
	sum, most := room{}, room{}
	for _, c := range spec.InitContainers {
		r := request(c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum = sum.add(r) // A sidecar stays.
			continue
		}
		most = room{max(most.cpu, sum.cpu+r.cpu), max(most.memory, sum.memory+r.memory), 0}
	}
	for _, c := range spec.Containers {
		sum = sum.add(request(c))
	}
	return room{max(sum.cpu, most.cpu) + spec.Overhead.Cpu().MilliValue(), max(sum.memory, most.memory) + spec.Overhead.Memory().Value(), 1}
}

// request is what one container reserves; a limit without a request is one.
func request(c corev1.Container) room {
	amount := func(name corev1.ResourceName) int64 {
		q, ok := c.Resources.Requests[name]
		if !ok {
			q = c.Resources.Limits[name]
		}
		if name == corev1.ResourceCPU {
			return q.MilliValue()
		}
		return q.Value()
	}
	return room{cpu: amount(corev1.ResourceCPU), memory: amount(corev1.ResourceMemory)}
}

// demand is what each pod of a set takes.
func demand(set objects.Set) ([]room, error) {
	var out []room
	for _, u := range set {
		template, found, err := unstructured.NestedMap(u.Object, "spec", "template", "spec")
		if err != nil || !found {
			continue // It has no pods.
		}
		var spec corev1.PodSpec
		if err := apiruntime.DefaultUnstructuredConverter.FromUnstructured(template, &spec); err != nil {
			return nil, fmt.Errorf("read the pods of %s: %w", objects.Describe(u), err)
		}
		for range replicas(u) {
			out = append(out, requests(spec))
		}
	}
	return out, nil
}

// replicas is how many pods a workload asks for; one where it does not say.
func replicas(u *unstructured.Unstructured) int {
	n, found, err := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas")
	if err != nil || !found {
		return 1
	}
	switch n := n.(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 1
}

// place puts pods on nodes, the largest first, each where it fits first, and returns how many find no place.
func place(pods, nodes []room) int {
	pods, nodes = slices.Clone(pods), slices.Clone(nodes)
	slices.SortFunc(pods, func(a, b room) int { return cmp.Or(cmp.Compare(b.memory, a.memory), cmp.Compare(b.cpu, a.cpu)) })
	left := 0
	for _, pod := range pods {
		i := slices.IndexFunc(nodes, func(n room) bool { return n.holds(pod) })
		if i < 0 {
			left++
			continue
		}
		nodes[i] = nodes[i].less(pod)
	}
	return left
}
