// Package proxy is the filtering reverse proxy between an agent and the cluster: the Kubernetes API, Prometheus and Jaeger
// as an engineer on call would see them, without the harness. Everything that an agent does goes through one Server, so
// that there is one filter.
package proxy

import (
	"slices"
	"strings"
)

// Rules say what is hidden.
type Rules struct {
	// Namespaces are hidden with everything in them.
	Namespaces []string
	// Only, where it is not empty, are the namespaces that are not hidden: all others are, as on a cluster that has other users.
	Only []string
	// Groups are hidden API groups, with their CRDs, discovery, OpenAPI, RBAC rules and the Events about their objects.
	Groups []string
	// Words mark hidden things by name: an object, field manager, controller, metric or series whose name contains one.
	Words []string
	// KeyPrefixes are prefixes of labels and annotations that are hidden on visible objects.
	KeyPrefixes []string
}

// DefaultRules hides Chaos Mesh and the harness's own marks. Further namespaces are the harness's own.
func DefaultRules(namespaces ...string) Rules {
	return Rules{
		Namespaces:  append([]string{"chaos-mesh"}, namespaces...),
		Groups:      []string{"chaos-mesh.org"},
		Words:       []string{"chaos-mesh", "chaos_mesh", "chaosmesh", "chaos-daemon", "chaos-controller", "gameday"},
		KeyPrefixes: []string{"gameday.dev/", "chaos-mesh.org/"},
	}
}

func (r Rules) hiddenNamespace(ns string) bool {
	return ns != "" && (slices.Contains(r.Namespaces, ns) || len(r.Only) > 0 && !slices.Contains(r.Only, ns))
}

func (r Rules) hiddenGroup(group string) bool {
	return slices.ContainsFunc(r.Groups, func(g string) bool {
		return strings.EqualFold(group, g) || strings.HasSuffix(strings.ToLower(group), "."+g)
	})
}

// hiddenName is true for a name that contains one of the words or ends in a hidden group, as a CRD's does.
func (r Rules) hiddenName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(r.Words, func(w string) bool { return strings.Contains(name, w) }) ||
		slices.ContainsFunc(r.Groups, func(g string) bool { return strings.HasSuffix(name, "."+g) })
}

func (r Rules) hiddenKey(key string) bool {
	return slices.ContainsFunc(r.KeyPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// hiddenSelector is true for a selector that asks for hidden keys.
func (r Rules) hiddenSelector(selector string) bool {
	return slices.ContainsFunc(r.KeyPrefixes, func(p string) bool { return strings.Contains(selector, p) })
}

// visible says whether an object of the given resource may be seen, and removes from it what may not.
func (r Rules) visible(resource string, obj map[string]any) bool {
	meta := object(obj, "metadata")
	name, namespace := text(meta, "name"), text(meta, "namespace")
	if r.hiddenNamespace(namespace) || r.hiddenName(name) || r.hiddenGroup(groupOf(text(obj, "apiVersion"))) {
		return false
	}
	switch resource {
	case "namespaces":
		if r.hiddenNamespace(name) {
			return false
		}
	case "events":
		if r.hiddenEvent(obj) {
			return false
		}
	case "customresourcedefinitions", "apiservices":
		if r.hiddenGroup(text(object(obj, "spec"), "group")) {
			return false
		}
	case "validatingwebhookconfigurations", "mutatingwebhookconfigurations":
		if !keep(obj, "webhooks", func(w map[string]any) bool { return !r.hiddenWebhook(w) }) {
			return false
		}
	case "clusterroles", "roles":
		if !keep(obj, "rules", r.visibleRule) {
			return false
		}
	case "clusterrolebindings", "rolebindings":
		if !keep(obj, "subjects", r.visibleSubject) {
			return false
		}
	case "persistentvolumes":
		if r.hiddenNamespace(text(object(object(obj, "spec"), "claimRef"), "namespace")) {
			return false
		}
	case "nodes":
		r.scrubImages(object(obj, "status"))
	}
	r.scrub(obj)
	return true
}

// hiddenEvent knows both Event types: involvedObject and source of core/v1, regarding and reportingController of events.k8s.io.
func (r Rules) hiddenEvent(ev map[string]any) bool {
	for _, field := range []string{"involvedObject", "regarding", "related"} {
		ref := object(ev, field)
		if r.hiddenGroup(groupOf(text(ref, "apiVersion"))) || r.hiddenNamespace(text(ref, "namespace")) || r.hiddenName(text(ref, "name")) {
			return true
		}
		if text(ref, "kind") == "Namespace" && r.hiddenNamespace(text(ref, "name")) {
			return true
		}
	}
	sources := []string{
		text(ev, "reportingComponent"), text(ev, "reportingController"),
		text(object(ev, "source"), "component"), text(object(ev, "deprecatedSource"), "component"),
	}
	return slices.ContainsFunc(sources, r.hiddenName)
}

func (r Rules) hiddenWebhook(w map[string]any) bool {
	if r.hiddenName(text(w, "name")) || r.hiddenNamespace(text(object(object(w, "clientConfig"), "service"), "namespace")) {
		return true
	}
	for _, rule := range objects(w, "rules") {
		if slices.ContainsFunc(strs(rule, "apiGroups"), r.hiddenGroup) {
			return true
		}
	}
	return false
}

// visibleRule removes hidden groups from a policy rule; a rule that was about nothing else is hidden.
func (r Rules) visibleRule(rule map[string]any) bool {
	groups, _ := rule["apiGroups"].([]any)
	left := slices.DeleteFunc(slices.Clone(groups), func(g any) bool { s, _ := g.(string); return r.hiddenGroup(s) })
	if len(left) == len(groups) {
		return true
	}
	rule["apiGroups"] = left
	return len(left) > 0
}

func (r Rules) visibleSubject(subject map[string]any) bool {
	return !r.hiddenNamespace(text(subject, "namespace")) && !r.hiddenName(text(subject, "name"))
}

func (r Rules) scrubImages(status map[string]any) {
	images, ok := status["images"].([]any)
	if !ok {
		return
	}
	status["images"] = slices.DeleteFunc(images, func(v any) bool {
		im, _ := v.(map[string]any)
		return slices.ContainsFunc(strs(im, "names"), r.hiddenName)
	})
}

// keep filters a list field in place. It is false when the list had elements and none is left.
func keep(obj map[string]any, field string, visible func(map[string]any) bool) bool {
	list, _ := obj[field].([]any)
	left := slices.DeleteFunc(slices.Clone(list), func(v any) bool {
		m, ok := v.(map[string]any)
		return ok && !visible(m)
	})
	if len(left) != len(list) {
		obj[field] = left
	}
	return len(left) > 0 || len(list) == 0
}

func groupOf(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

func object(m map[string]any, field string) map[string]any {
	v, _ := m[field].(map[string]any)
	return v
}

func objects(m map[string]any, field string) []map[string]any {
	list, _ := m[field].([]any)
	var out []map[string]any
	for _, v := range list {
		if o, ok := v.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func strs(m map[string]any, field string) []string {
	list, _ := m[field].([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}
