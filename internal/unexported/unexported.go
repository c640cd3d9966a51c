// Package unexported reaches the private fields of structures of other modules, where those have no option for what has to be set.
//
// Fields are found by name and checked by type. The versions of the modules are pinned; a name or type that has changed after an
// upgrade is an error, never a silent difference. Whoever uses this package has a test that builds the real structure.
package unexported

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Field walks from the structure behind root, a pointer, along the named fields, through pointers and interfaces.
func Field(root any, path ...string) (reflect.Value, error) {
	v := reflect.ValueOf(root)
	for _, name := range path {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || !v.CanAddr() {
			return reflect.Value{}, fmt.Errorf("no structure holds field %q of path %v", name, path)
		}
		f := v.FieldByName(name)
		if !f.IsValid() {
			return reflect.Value{}, fmt.Errorf("%s has no field %q", v.Type(), name)
		}
		v = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
	}
	return v, nil
}

// Set gives the field at path the value. T is the field's own type, also where that is an interface. It is not safe while
// somebody else uses the field.
func Set[T any](root any, value T, path ...string) error {
	f, err := Field(root, path...)
	if err != nil {
		return err
	}
	if want := reflect.TypeFor[T](); f.Type() != want {
		return fmt.Errorf("field %v is a %s, not a %s", path, f.Type(), want)
	}
	f.Set(reflect.ValueOf(&value).Elem())
	return nil
}

// Get returns what the field at path holds, which has to be a T.
func Get[T any](root any, path ...string) (T, error) {
	var zero T
	f, err := Field(root, path...)
	if err != nil {
		return zero, err
	}
	got, ok := f.Interface().(T)
	if !ok {
		return zero, fmt.Errorf("field %v is a %s, not a %s", path, f.Type(), reflect.TypeFor[T]())
	}
	return got, nil
}
