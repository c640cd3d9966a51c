package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/gameday-bench/gameday/faults"
)

// Target is one object.
type Target struct {
	APIVersion string `yaml:"apiVersion" check:"required"`
	Kind       string `yaml:"kind" check:"required"`
	// Namespace is empty for objects that have none.
	Namespace string `yaml:"namespace,omitempty"`
	Name      string `yaml:"name" check:"required"`
}

func (t Target) String() string {
	if t.Namespace == "" {
		return t.Kind + " " + t.Name
	}
	return t.Kind + " " + t.Namespace + "/" + t.Name
}

// client returns the client of the target's kind. The resource's name is the usual plural.
func (t Target) client(env faults.Env) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(t.APIVersion, t.Kind))
	if t.Namespace == "" {
		return env.Dynamic.Resource(resource)
	}
	return env.Dynamic.Resource(resource).Namespace(t.Namespace)
}

// Predicate is a condition on one field: exactly one of Equals, OneOf and Absent is set.
type Predicate struct {
	// Path is the field, for example spec.ports[0].targetPort, spec.template.spec.containers[name=geo].image or
	// data["geo.yaml"].
	Path string `yaml:"path" check:"required"`
	// Equals is the value; values are compared as they are written, so 8099 and "8099" are equal.
	Equals any `yaml:"equals,omitempty"`
	// OneOf are values of which one is enough.
	OneOf []any `yaml:"oneOf,omitempty"`
	// Absent holds while the field is not there, or empty.
	Absent bool `yaml:"absent,omitempty"`
}

func (p Predicate) check(s faults.Spec) error {
	set := 0
	for _, is := range []bool{p.Equals != nil, len(p.OneOf) > 0, p.Absent} {
		if is {
			set++
		}
	}
	if set != 1 {
		return s.Fail("live", "want exactly one of equals, oneOf and absent")
	}
	if _, err := splitPath(p.Path); err != nil {
		return s.Fail("live.path", "%v", err)
	}
	return nil
}

// holds evaluates the predicate and returns the value that it saw, as text.
func (p Predicate) holds(object map[string]any) (bool, string, error) {
	steps, err := splitPath(p.Path)
	if err != nil {
		return false, "", err
	}
	value, ok := lookup(object, steps)
	switch {
	case !ok || value == nil || value == "":
		return p.Absent, "not set", nil
	case p.Absent:
		return false, text(value), nil
	case p.Equals != nil:
		return text(value) == text(p.Equals), text(value), nil
	}
	return slices.ContainsFunc(p.OneOf, func(v any) bool { return text(v) == text(value) }), text(value), nil
}

// text is a value as it is written: scalars as they print, everything else as JSON.
func text(v any) string {
	switch v := v.(type) {
	case map[string]any, []any:
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(data)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// splitPath splits a field path into steps: names, [0], [name=value], ["key"].
func splitPath(path string) ([]string, error) {
	var steps []string
	for rest := path; rest != ""; {
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("field path %q: [ without ]", path)
			}
			step := rest[1:end]
			if key, err := strconv.Unquote(step); err == nil {
				steps = append(steps, key)
			} else {
				steps = append(steps, "["+step)
			}
			rest = strings.TrimPrefix(rest[end+1:], ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("field path %q: empty step", path)
		}
		steps = append(steps, rest[:end])
		rest = strings.TrimPrefix(rest[end:], ".")
	}
	return steps, nil
}

// lookup follows steps from v.
func lookup(v any, steps []string) (any, bool) {
	if len(steps) == 0 {
		return v, true
	}
	selector, isList := strings.CutPrefix(steps[0], "[")
	if !isList {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		next, ok := m[steps[0]]
		if !ok {
			return nil, false
		}
		return lookup(next, steps[1:])
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	if i, err := strconv.Atoi(selector); err == nil {
		if i < 0 || i >= len(list) {
			return nil, false
		}
		return lookup(list[i], steps[1:])
	}
	key, want, _ := strings.Cut(selector, "=")
	for _, item := range list {
		if got, ok := lookup(item, []string{key}); ok && text(got) == want {
			return lookup(item, steps[1:])
		}
	}
	return nil, false
}
