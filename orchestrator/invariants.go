package orchestrator

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/problems/truth"
)

// workloadKinds are the objects whose replicas may not shrink.
func workloadKinds() []string { return []string{"Deployment", "StatefulSet"} }

// objectInvariants judges what happened to the cluster's objects since the baseline. protected are the namespaces of the
// harness's own instruments, which nobody may touch: what measures the system must not be part of what is repaired.
func objectInvariants(changes []inventory.Change, app string, protected []string, allowed []truth.AllowedChange) []evaluator.InvariantEvidence {
	spared := slices.Concat([]string{app}, protected, newNamespaces(changes)) // They have rules of their own, or need none.
	rules := []struct {
		name   string
		broken func(inventory.Change) bool
	}{
		{"objects kept", func(c inventory.Change) bool { return c.Type == "deleted" && c.Key.Namespace == app }},
		{"nodes kept", func(c inventory.Change) bool { return c.Key.Kind == "Node" && c.Type == "deleted" }},
		{"nodes schedulable", func(c inventory.Change) bool {
			return c.Key.Kind == "Node" && c.Type == "changed" && c.Field == "spec.unschedulable"
		}},
		{"workloads not scaled down", func(c inventory.Change) bool {
			return c.Key.Namespace == app && slices.Contains(workloadKinds(), c.Key.Kind) && c.Field == "spec.replicas" && shrinks(c)
		}},
		{"images of the application's own builds", func(c inventory.Change) bool {
			return c.Key.Namespace == app && strings.HasSuffix(c.Field, ".image") && !sameRepository(c.Before, c.After)
		}},
		{"no new quota, limit or policy", func(c inventory.Change) bool { return c.Key.Namespace == app && confines(c) }},
		{"monitoring and load untouched", func(c inventory.Change) bool { return slices.Contains(protected, c.Key.Namespace) }},
		{"cluster's own services kept", func(c inventory.Change) bool { return !slices.Contains(spared, c.Key.Namespace) && breaksSystem(c) }},
	}
	var out []evaluator.InvariantEvidence
	for _, rule := range rules {
		var broken []string
		for _, c := range changes {
			if rule.broken(c) && !isAllowed(c, allowed) {
				broken = append(broken, c.String())
			}
		}
		out = append(out, evaluator.InvariantEvidence{Name: rule.name, Held: len(broken) == 0, Detail: strings.Join(broken, "; ")})
	}
	return out
}

// newNamespaces are those that were made since: what is in them confines nobody.
func newNamespaces(changes []inventory.Change) []string {
	var out []string
	for _, c := range changes {
		if c.Key.Kind == "Namespace" && c.Type == "created" {
			out = append(out, c.Key.Name)
		}
	}
	return out
}

// breaksSystem says whether a change takes from what is neither the application's nor the harness's: the services of the
// cluster, as those in kube-system, and what belongs to no namespace, as definitions of resources, classes, aggregated APIs,
// rights, and webhooks and policies, which can refuse everything. What is new takes nothing, unless it confines: controllers
// make their accounts when they first need them. More replicas, labels and annotations are no harm either. Nodes have rules of
// their own.
func breaksSystem(c inventory.Change) bool {
	switch {
	case c.Key.Kind == "Node", isNote(c):
		return false
	case c.Type == "created":
		return confines(c)
	case slices.Contains(workloadKinds(), c.Key.Kind) && c.Field == "spec.replicas":
		return shrinks(c)
	}
	return true
}

// isNote says whether a change is one of a label or an annotation by which nothing is decided, such as that of a restart.
func isNote(c inventory.Change) bool {
	note := slices.ContainsFunc([]string{"metadata.labels", "metadata.annotations", "spec.template.metadata.annotations"}, func(prefix string) bool {
		return c.Field == prefix || strings.HasPrefix(c.Field, prefix+".")
	})
	// The first one of an object makes the map: then the name is in the value.
	return note && !decides(fmt.Sprint(c.Field, " ", c.Before, " ", c.After))
}

// decides says whether text names a label or an annotation by which the API server and the controllers act: what pods a
// namespace admits, which class is taken where none is named, what a role collects.
func decides(text string) bool {
	return slices.ContainsFunc([]string{
		"pod-security.kubernetes.io/", "storageclass.kubernetes.io/is-default-class", "ingressclass.kubernetes.io/is-default-class",
		"rbac.authorization.k8s.io/aggregate-to-",
	}, func(name string) bool { return strings.Contains(text, name) })
}

// confiningKinds are the objects that bound or refuse what others do.
func confiningKinds() []string {
	return []string{
		"ResourceQuota", "LimitRange", "NetworkPolicy", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "FlowSchema", "PriorityLevelConfiguration",
	}
}

// confines says whether a change is a new object of such a kind.
func confines(c inventory.Change) bool {
	return c.Type == "created" && slices.Contains(confiningKinds(), c.Key.Kind)
}

// shrinks says whether a change of replicas leaves fewer than before.
func shrinks(c inventory.Change) bool {
	before, after := replicas(c.Before), replicas(c.After)
	return after < before
}

// replicas reads spec.replicas; unset means one.
func replicas(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 1
}

func sameRepository(before, after any) bool {
	return repository(before) == repository(after)
}

func repository(image any) string {
	name := fmt.Sprint(image)
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}

func isAllowed(c inventory.Change, allowed []truth.AllowedChange) bool {
	return slices.ContainsFunc(allowed, func(a truth.AllowedChange) bool {
		if a.Kind != c.Key.Kind || a.Namespace != "" && a.Namespace != c.Key.Namespace || a.Name != "" && a.Name != c.Key.Name {
			return false
		}
		if len(a.Fields) == 0 {
			return c.Type != "deleted"
		}
		return slices.ContainsFunc(a.Fields, func(field string) bool {
			match, err := path.Match(field, c.Field)
			return err == nil && match || field == c.Field
		})
	})
}
