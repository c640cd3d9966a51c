package yamlx

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/nearest"
)

type field struct {
	value reflect.Value
	rules rules
}

type fieldSet struct {
	names  []string // in the order of the struct
	byName map[string]field
}

// rules are a field's check tag.
type rules struct {
	required bool
	oneof    []string
	min      string
}

func parseRules(tag string) rules {
	var r rules
	for part := range strings.SplitSeq(tag, ",") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "required":
			r.required = true
		case "oneof":
			r.oneof = strings.Split(value, "|")
		case "min":
			r.min = value
		}
	}
	return r
}

// fieldsOf lists the fields of a struct; inlined structs count as its own.
func fieldsOf(v reflect.Value) fieldSet {
	set := fieldSet{byName: map[string]field{}}
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		inline := slices.Contains(strings.Split(options, ","), "inline")
		if name == "-" || !sf.IsExported() && !inline {
			continue
		}
		if inline {
			inner := fieldsOf(v.Field(i))
			set.names = append(set.names, inner.names...)
			for n, f := range inner.byName {
				set.byName[n] = f
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		set.names = append(set.names, name)
		set.byName[name] = field{v.Field(i), parseRules(sf.Tag.Get("check"))}
	}
	return set
}

// check applies the check tag to a field that is in the file.
func (d *decoder) check(key, node *yaml.Node, f field, path string, held bool) {
	if f.value.Kind() == reflect.Pointer && !f.value.IsNil() {
		f.value = f.value.Elem()
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if f.rules.required && (!held || isEmpty(f.value)) && !d.failedAt(path) {
		d.fail(key, path, "required field is empty")
		return
	}
	if !held || d.failedAt(path) {
		return
	}
	if f.rules.oneof != nil {
		d.checkOneOf(node, f, path)
	}
	if f.rules.min != "" && below(f.value, f.rules.min) {
		d.fail(node, path, "must be at least %s, got %s", f.rules.min, node.Value)
	}
}

func (d *decoder) checkOneOf(node *yaml.Node, f field, path string) {
	if f.value.Kind() == reflect.Slice {
		for i := range f.value.Len() {
			if i < len(node.Content) {
				d.checkOneOf(node.Content[i], field{f.value.Index(i), f.rules}, Index(path, i))
			}
		}
		return
	}
	got := f.value.String()
	if slices.Contains(f.rules.oneof, got) {
		return
	}
	message := "unknown value " + strconv.Quote(got) + " (allowed: " + strings.Join(f.rules.oneof, ", ") + ")"
	if near := nearest.Match(got, f.rules.oneof); near != "" {
		message += "; did you mean " + strconv.Quote(near) + "?"
	}
	d.fail(node, path, "%s", message)
}

func (d *decoder) failedAt(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		return p.Path == path || strings.HasPrefix(p.Path, path+"[")
	})
}

// isEmpty is about what must not be left blank: text, lists, maps and structs. A zero or false that is written is a value.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}

func below(v reflect.Value, least string) bool {
	if v.Type() == durationType {
		d, err := time.ParseDuration(least)
		return err == nil && time.Duration(v.Int()) < d
	}
	n, err := strconv.ParseFloat(least, 64)
	switch {
	case err != nil:
		return false
	case v.CanInt():
		return float64(v.Int()) < n
	case v.CanUint():
		return float64(v.Uint()) < n
	case v.CanFloat():
		return v.Float() < n
	}
	return false
}
