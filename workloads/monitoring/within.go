package monitoring

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads/objects"
)

// discovery is what a kubernetes_sd_configs entry has after its role.
func (s *Stack) discovery() string {
	if s.within == nil {
		return ""
	}
	return ", namespaces: {names: [" + strings.Join(s.within, ", ") + "]}"
}

// kept is the rule that keeps only the series of these namespaces, and those of nodes, which have none.
func (s *Stack) kept() string {
	if s.within == nil {
		return ""
	}
	return `- {source_labels: [namespace], regex: "|` + strings.Join(s.within, "|") + `", action: keep}`
}

// confine leaves out of a confined stack what acts on the whole cluster.
func (s *Stack) confine(set objects.Set) objects.Set {
	if s.within == nil {
		return set
	}
	set = slices.DeleteFunc(set, func(u *unstructured.Unstructured) bool {
		return u.GetLabels()["app.kubernetes.io/name"] == "prometheus-adapter"
	})
	for _, u := range set {
		if u.GetKind() == "ClusterRole" {
			dropResource(u, "nodes/proxy")
		}
	}
	return set
}

// dropResource takes a resource out of the rules of a role.
func dropResource(role *unstructured.Unstructured, resource string) {
	rules, _, _ := unstructured.NestedSlice(role.Object, "rules") // A role without rules has nothing to drop.
	for _, item := range rules {
		rule, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if resources, ok := rule["resources"].([]any); ok {
			rule["resources"] = slices.DeleteFunc(resources, func(r any) bool { return r == any(resource) })
		}
	}
	role.Object["rules"] = rules
}
