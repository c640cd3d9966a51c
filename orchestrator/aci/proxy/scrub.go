package proxy

import (
	"encoding/json"
	"slices"
	"strings"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// scrub removes the harness's marks from a visible object: hidden labels and annotations wherever they are (pod templates,
// selectors), owner references to hidden kinds, and managedFields that tell of them.
func (r Rules) scrub(v any) {
	switch v := v.(type) {
	case map[string]any:
		for field, child := range v {
			m, isMap := child.(map[string]any)
			switch {
			case isMap && (field == "labels" || field == "annotations" || field == "matchLabels"):
				r.scrubKeys(m)
			case field == "managedFields":
				v[field] = r.scrubManaged(child)
			case field == "ownerReferences":
				keep(v, field, func(ref map[string]any) bool { return !r.hiddenGroup(groupOf(text(ref, "apiVersion"))) })
			default:
				r.scrub(child)
			}
		}
	case []any:
		for _, child := range v {
			r.scrub(child)
		}
	}
}

func (r Rules) scrubKeys(m map[string]any) {
	for key, value := range m {
		if r.hiddenKey(key) {
			delete(m, key)
			continue
		}
		if s, ok := value.(string); ok && key == lastApplied && r.hiddenSelector(s) {
			m[key] = r.scrubApplied(s)
		}
	}
}

func (r Rules) scrubApplied(s string) string {
	var obj map[string]any
	if json.Unmarshal([]byte(s), &obj) != nil {
		return ""
	}
	r.scrub(obj)
	out, err := json.Marshal(obj)
	if err != nil {
		return ""
	}
	return string(out) + "\n"
}

func (r Rules) scrubManaged(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	return slices.DeleteFunc(list, func(v any) bool {
		entry, _ := v.(map[string]any)
		if r.hiddenName(text(entry, "manager")) || r.hiddenGroup(groupOf(text(entry, "apiVersion"))) {
			return true
		}
		r.scrubFields(object(entry, "fieldsV1"))
		return false
	})
}

// scrubFields removes the f: keys of hidden labels and annotations from a managed field set.
func (r Rules) scrubFields(fields map[string]any) {
	for key, child := range fields {
		if r.hiddenKey(strings.TrimPrefix(key, "f:")) {
			delete(fields, key)
			continue
		}
		if m, ok := child.(map[string]any); ok {
			r.scrubFields(m)
		}
	}
}

// restore puts the hidden labels and annotations of the live object back into an update made from what the agent saw, so
// that a replace does not strip the marks that it could not see.
func (r Rules) restore(update, live map[string]any) {
	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		to, from := descend(update, path), descend(live, path)
		if to == nil || from == nil {
			continue
		}
		for _, field := range []string{"labels", "annotations"} {
			r.restoreKeys(to, object(from, field), field)
		}
	}
	to, from := descend(update, []string{"spec", "selector"}), descend(live, []string{"spec", "selector"})
	if to != nil && from != nil {
		r.restoreKeys(to, object(from, "matchLabels"), "matchLabels")
	}
}

func (r Rules) restoreKeys(to, from map[string]any, field string) {
	for key, value := range from {
		if !r.hiddenKey(key) {
			continue
		}
		m, ok := to[field].(map[string]any)
		if !ok {
			m = map[string]any{}
			to[field] = m
		}
		m[key] = value
	}
}

func descend(m map[string]any, path []string) map[string]any {
	for _, field := range path {
		m = object(m, field)
	}
	return m
}
