package faults

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/problems"
)

// APIVersion is what every fault.yaml declares.
const APIVersion = "gameday.dev/v1"

// File is one fault.yaml: a fault as a template over its parameters.
type File struct {
	APIVersion  string `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind        string `yaml:"kind" json:"kind" check:"required,oneof=Fault"`
	ID          string `yaml:"id" json:"id" check:"required"`
	Title       string `yaml:"title" json:"title" check:"required"`
	Description string `yaml:"description" json:"description" check:"required"`
	// Type is the name under which a Constructor is registered; it says what Spec holds.
	Type string `yaml:"type" json:"type" check:"required"`
	// Requires are the capabilities that a cluster must have for the fault to be injected, or for agents to repair it; see
	// Capabilities.
	Requires []string `yaml:"requires,omitempty" json:"requires,omitempty"`
	// Params are the parameters that Spec may use as ${name}.
	Params map[string]Param `yaml:"params" json:"params"`
	// Spec is decoded by the type. A value that is nothing but one ${name} takes the type of what is filled in; in quotes it
	// stays a string.
	Spec yaml.Node `yaml:"spec" json:"-" check:"required"`
}

// Param is one parameter. It has a default, or it is required and has an example with which the file is checked.
type Param struct {
	Description string `yaml:"description" json:"description" check:"required"`
	Default     string `yaml:"default,omitempty" json:"default,omitempty"`
	Required    bool   `yaml:"required,omitempty" json:"required,omitempty"`
	Example     string `yaml:"example,omitempty" json:"example,omitempty"`
}

// ParamNames returns the names of the parameters, sorted.
func (f File) ParamNames() []string { return slices.Sorted(maps.Keys(f.Params)) }

// fill completes params with defaults. The error names what is missing and what is unknown.
func (f File) fill(params map[string]string) (problems.Draw, error) {
	draw := problems.Draw{}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if _, ok := f.Params[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("it has no parameter %q", name))
		}
		draw[name] = params[name]
	}
	for _, name := range f.ParamNames() {
		p := f.Params[name]
		if draw[name] == "" && p.Required {
			wrong = append(wrong, fmt.Sprintf("parameter %q is required", name))
		}
		draw[name] = cmp.Or(draw[name], p.Default)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("fault %s: %s (parameters: %s)", f.ID, strings.Join(wrong, ", "), strings.Join(f.ParamNames(), ", "))
	}
	return draw, nil
}

// Spec is the spec of a fault.yaml with its parameters filled in.
type Spec struct {
	// ID is the fault's id.
	ID   string
	doc  *yamlx.Document
	node *yaml.Node
}

// Decode decodes the spec strictly into out, a pointer to a struct with yaml and check tags (see package yamlx).
func (s Spec) Decode(out any) error { return s.doc.DecodeNode(s.node, "spec", out) }

// Fail returns an error at a field of the spec; path is relative to it, for example patch.type.
func (s Spec) Fail(path, format string, args ...any) error {
	return yamlx.ErrorList{s.doc.Problem("spec."+path, format, args...)}
}

// fillNode returns a copy of node with every ${name} in its values replaced.
func fillNode(node *yaml.Node, draw problems.Draw) (*yaml.Node, error) {
	out := *node
	if node.Kind == yaml.AliasNode {
		return fillNode(node.Alias, draw)
	}
	if node.Kind == yaml.ScalarNode && strings.Contains(node.Value, "${") {
		value, err := draw.Fill(node.Value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", node.Line, err)
		}
		out.Value = value
		if node.Style == 0 { // plain: what it is depends on what is filled in
			out.Tag = ""
			out.Tag = out.ShortTag()
		}
	}
	out.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		var err error
		if out.Content[i], err = fillNode(child, draw); err != nil {
			return nil, err
		}
	}
	return &out, nil
}
