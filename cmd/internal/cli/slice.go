package cli

import (
	"fmt"
	"reflect"
)

// slice returns the elements of a slice of any type.
func slice(items any) ([]any, error) {
	v := reflect.ValueOf(items)
	if v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("list items: got %T", items)
	}
	out := make([]any, v.Len())
	for i := range out {
		out[i] = v.Index(i).Interface()
	}
	return out, nil
}
