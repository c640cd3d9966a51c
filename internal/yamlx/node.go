package yamlx

import (
	"fmt"
	"reflect"

	"gopkg.in/yaml.v3"
)

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
