// Package yamlx decodes YAML files strictly and reports everything that is wrong with them at once, each error with its
// file, line, column and field path.
//
// Struct fields are named by their yaml tag. A check tag adds rules, separated by commas: "required" (the field must be
// there and not empty), "oneof=a|b|c", "min=1" (numbers and durations, in units of the type; for durations as text, min=1s).
package yamlx

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Document is one parsed YAML file. It remembers where every field is.
type Document struct {
	// File is the name that problems are reported under.
	File string
	root *yaml.Node
	// places maps a field path to its node: of the value, or of the key where the value is missing.
	places map[string]*yaml.Node
}

// Parse reads exactly one YAML document. The error is an ErrorList.
func Parse(file string, data []byte) (*Document, error) {
	d := &Document{File: file, places: map[string]*yaml.Node{}}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var node yaml.Node
	if err := decoder.Decode(&node); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrorList{{File: file, Line: 1, Column: 1, Message: "the file is empty"}}
		}
		return nil, ErrorList{syntaxProblem(file, err)}
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil, ErrorList{{File: file, Line: 1, Column: 1, Message: "the file is empty"}}
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, ErrorList{{File: file, Line: second.Line, Column: second.Column, Message: "a second YAML document starts here; want one per file"}}
	case !errors.Is(err, io.EOF):
		return nil, ErrorList{syntaxProblem(file, err)}
	}
	d.root = node.Content[0]
	return d, nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Message: err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			p.Line = n
		}
		p.Message = "not YAML: " + m[2]
	}
	return p
}

// Decode decodes data strictly into out, a pointer to a struct. The error is an ErrorList of everything that is wrong;
// what could be decoded is in out all the same.
func Decode(file string, data []byte, out any) error {
	d, err := Parse(file, data)
	if err != nil {
		return err
	}
	return d.Decode(out)
}

// Decode is Decode of a document that was parsed before.
func (d *Document) Decode(out any) error {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode %s: want a pointer, got %T", d.File, out)
	}
	dec := &decoder{doc: d}
	dec.value(d.root, v.Elem(), "")
	return dec.problems.Err()
}

// Problem returns a problem at the field with this path, or at the nearest field above it that is in the file.
func (d *Document) Problem(path, format string, args ...any) Problem {
	p := Problem{File: d.File, Line: 1, Column: 1, Path: path, Message: fmt.Sprintf(format, args...)}
	for at := path; ; at = parent(at) {
		if node, ok := d.places[at]; ok {
			p.Line, p.Column = node.Line, node.Column
			return p
		}
		if at == "" {
			return p
		}
	}
}

// Strings yields the path and the text of every plain value that was decoded, sorted by path.
func (d *Document) Strings() iter.Seq2[string, string] {
	return func(yield func(path, text string) bool) {
		for _, path := range slices.Sorted(maps.Keys(d.places)) {
			node := d.places[path]
			if node.Kind == yaml.AliasNode {
				node = node.Alias
			}
			if node.Kind == yaml.ScalarNode && !yield(path, node.Value) {
				return
			}
		}
	}
}

// parent cuts the last step of a path: a.b[0] to a.b to a to "".
func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}

// Child returns the path of a field or map key below path.
func Child(path, key string) string {
	if strings.ContainsAny(key, ".[]\" ") || key == "" {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index returns the path of a list's element.
func Index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
