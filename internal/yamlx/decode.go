package yamlx

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/nearest"
)

// maxDepth and maxValues bound what one file can hold, so that aliases that refer to one another cannot run forever.
const (
	maxDepth  = 100
	maxValues = 100_000
)

var (
	durationType    = reflect.TypeFor[time.Duration]()
	nodeType        = reflect.TypeFor[yaml.Node]()
	unmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
)

type decoder struct {
	doc      *Document
	problems ErrorList
	depth    int
	values   int
}

func (d *decoder) fail(node *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.doc.File, Line: node.Line, Column: node.Column, Path: path, Message: fmt.Sprintf(format, args...),
	})
}

// value decodes node into v and reports whether the node held something (null does not).
func (d *decoder) value(node *yaml.Node, v reflect.Value, path string) bool {
	d.depth, d.values = d.depth+1, d.values+1
	defer func() { d.depth-- }()
	if d.depth > maxDepth {
		d.fail(node, path, "nested deeper than %d levels", maxDepth)
		return false
	}
	if d.values > maxValues {
		if d.values == maxValues+1 {
			d.fail(node, path, "more than %d values, aliases counted", maxValues)
		}
		return false
	}
	d.doc.places[path] = node
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if isNull(node) && v.Kind() != reflect.Interface && v.Type() != nodeType {
		return false
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(*node))
		return true
	}
	if v.CanAddr() && v.Addr().Type().Implements(unmarshalerType) {
		if err := v.Addr().Interface().(yaml.Unmarshaler).UnmarshalYAML(node); err != nil {
			d.fail(node, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return true
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(node, v.Elem(), path)
	case reflect.Struct:
		d.object(node, v, path)
	case reflect.Map:
		d.mapping(node, v, path)
	case reflect.Slice:
		d.list(node, v, path)
	case reflect.Interface:
		d.any(node, v, path)
	default:
		d.scalar(node, v, path)
	}
	return true
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// entries calls fn for each key of a mapping and reports keys that are not plain or are there twice.
func (d *decoder) entries(node *yaml.Node, path, want string, fn func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.fail(node, path, "want %s, got %s", want, describe(node))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch first, twice := seen[key.Value]; {
		case key.Tag == "!!merge":
			d.fail(key, path, "merge keys (<<) are not supported; write the fields out")
		case key.Kind != yaml.ScalarNode:
			d.fail(key, path, "want a plain key, got %s", describe(key))
		case twice:
			d.fail(key, Child(path, key.Value), "given twice; first on line %d", first)
		default:
			seen[key.Value] = key.Line
			fn(key, value)
		}
	}
}

func (d *decoder) object(node *yaml.Node, v reflect.Value, path string) {
	fields := fieldsOf(v)
	present := map[string]bool{}
	d.entries(node, path, "an object", func(key, value *yaml.Node) {
		f, ok := fields.byName[key.Value]
		if !ok {
			d.unknown(key, path, fields.names)
			return
		}
		at := Child(path, key.Value)
		held := d.value(value, f.value, at)
		if !held {
			d.doc.places[at] = key
		}
		present[key.Value] = true
		d.check(key, value, f, at, held)
	})
	if node.Kind != yaml.MappingNode {
		return
	}
	for _, name := range fields.names {
		if f := fields.byName[name]; f.rules.required && !present[name] {
			d.fail(node, Child(path, name), "required field is missing")
		}
	}
}

func (d *decoder) unknown(key *yaml.Node, path string, names []string) {
	at := Child(path, key.Value)
	if near := nearest.Match(key.Value, names); near != "" {
		d.fail(key, at, "unknown field; did you mean %q?", near)
		return
	}
	d.fail(key, at, "unknown field (allowed: %s)", strings.Join(nearest.Sorted(names), ", "))
}

func (d *decoder) mapping(node *yaml.Node, v reflect.Value, path string) {
	if v.Type().Key().Kind() != reflect.String {
		d.fail(node, path, "cannot decode into %s", v.Type())
		return
	}
	out := reflect.MakeMap(v.Type())
	d.entries(node, path, "an object", func(key, value *yaml.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		at := Child(path, key.Value)
		if !d.value(value, element, at) && element.Kind() != reflect.Interface && isNull(value) {
			d.fail(key, at, "has no value")
		}
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), element)
	})
	v.Set(out)
}

func (d *decoder) list(node *yaml.Node, v reflect.Value, path string) {
	if node.Kind != yaml.SequenceNode {
		d.fail(node, path, "want a list, got %s", describe(node))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
	for i, child := range node.Content {
		if !d.value(child, out.Index(i), Index(path, i)) && out.Index(i).Kind() != reflect.Interface && isNull(child) {
			d.fail(child, Index(path, i), "has no value")
		}
	}
	v.Set(out)
}

// any decodes free-form values: it only looks for duplicate keys and remembers the places.
func (d *decoder) any(node *yaml.Node, v reflect.Value, path string) {
	switch node.Kind {
	case yaml.MappingNode:
		m := reflect.New(reflect.TypeFor[map[string]any]()).Elem()
		d.mapping(node, m, path)
		v.Set(m)
	case yaml.SequenceNode:
		l := reflect.New(reflect.TypeFor[[]any]()).Elem()
		d.list(node, l, path)
		v.Set(l)
	default:
		var out any
		if err := node.Decode(&out); err != nil {
			d.fail(node, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
			return
		}
		if out != nil {
			v.Set(reflect.ValueOf(out))
		}
	}
}

func (d *decoder) scalar(node *yaml.Node, v reflect.Value, path string) {
	want := wanted(v)
	if node.Kind != yaml.ScalarNode {
		d.fail(node, path, "want %s, got %s", want, describe(node))
		return
	}
	ok := false
	switch {
	case v.Type() == durationType:
		d.duration(node, v, path)
		return
	case v.Kind() == reflect.String:
		if node.Tag != "!!str" && node.Tag != "!!timestamp" {
			d.fail(node, path, "want %s, got %s (write %q in quotes)", want, describe(node), node.Value)
			return
		}
		v.SetString(node.Value)
		ok = true
	case v.Kind() == reflect.Bool:
		ok = node.Tag == "!!bool" && node.Decode(v.Addr().Interface()) == nil
	case v.CanInt():
		n, err := strconv.ParseInt(node.Value, 0, v.Type().Bits())
		if ok = err == nil && node.Tag == "!!int"; ok {
			v.SetInt(n)
		}
	case v.CanUint():
		n, err := strconv.ParseUint(node.Value, 0, v.Type().Bits())
		if ok = err == nil && node.Tag == "!!int"; ok {
			v.SetUint(n)
		}
	case v.CanFloat():
		n, err := strconv.ParseFloat(node.Value, 64)
		if ok = err == nil && (node.Tag == "!!int" || node.Tag == "!!float") && !math.IsNaN(n) && !math.IsInf(n, 0); ok {
			v.SetFloat(n)
		}
	default:
		d.fail(node, path, "cannot decode into %s", v.Type())
		return
	}
	if !ok {
		d.fail(node, path, "want %s, got %s", want, describe(node))
	}
}

func (d *decoder) duration(node *yaml.Node, v reflect.Value, path string) {
	out, err := time.ParseDuration(node.Value)
	if err != nil {
		hint := ""
		if node.Tag == "!!int" || node.Tag == "!!float" {
			hint = fmt.Sprintf(" (write %ss for seconds)", node.Value)
		}
		d.fail(node, path, "want a duration such as 30s or 5m, got %s%s", describe(node), hint)
		return
	}
	v.SetInt(int64(out))
}

func wanted(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return "a duration"
	case v.Kind() == reflect.String:
		return "a string"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt():
		return "a whole number"
	case v.CanUint():
		return "a whole number, not negative"
	case v.CanFloat():
		return "a number"
	}
	return v.Type().String()
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return describe(node.Alias)
	}
	switch node.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "the boolean " + node.Value
	case "!!int", "!!float":
		return "the number " + node.Value
	}
	text := node.Value
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:40]) + "..."
	}
	return fmt.Sprintf("the string %q", text)
}
