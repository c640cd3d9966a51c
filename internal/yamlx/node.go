package yamlx

import (
	"fmt"
	"maps"
	"reflect"

	"gopkg.in/yaml.v3"
)

// Clone returns a copy that remembers the same places, to be used in another goroutine: a Document is not safe for concurrent
// use.
func (d *Document) Clone() *Document {
	return &Document{File: d.File, root: d.root, places: maps.Clone(d.places)}
}

// DecodeNode decodes node strictly into out, a pointer. The node is the one at path of this document, kept as a yaml.Node by
// Decode, or a copy of it: for files whose parts are decoded in a second step. The error is an ErrorList.
func (d *Document) DecodeNode(node *yaml.Node, path string, out any) error {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode %s: want a pointer, got %T", d.File, out)
	}
	dec := &decoder{doc: d}
	dec.value(node, v.Elem(), path)
	return dec.problems.Err()
}
