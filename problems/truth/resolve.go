package truth

import (
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/gameday-bench/gameday/problems"
)

// Resolve returns a copy of t with every ${parameter} replaced by its value in draw, in every string, keys of maps
// excepted. Runtime parameters that the draw does not hold yet stay as they are: a second Resolve fills them in. The error
// joins all unknown parameters, each with the field's path.
func (t Truth) Resolve(draw problems.Draw) (Truth, error) {
	f := filler{draw: t.withRuntime(draw)}
	out := f.copy(reflect.ValueOf(t), "").Interface().(Truth)
	if err := errors.Join(f.errs...); err != nil {
		return Truth{}, fmt.Errorf("resolve truth: %w", err)
	}
	return out, nil
}

// withRuntime returns draw with a placeholder for each runtime parameter that it does not hold.
func (t Truth) withRuntime(draw problems.Draw) problems.Draw {
	out := problems.Draw{}
	for name := range t.Runtime {
		out[name] = "${" + name + "}"
	}
	maps.Copy(out, draw)
	return out
}

type filler struct {
	draw problems.Draw
	errs []error
}

// copy returns a deep copy of v with strings filled in.
func (f *filler) copy(v reflect.Value, path string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		text, err := f.draw.Fill(v.String())
		if err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", path, err))
		}
		out.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(f.copy(v.Field(i), path+"."+v.Type().Field(i).Name))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(f.copy(v.Index(i), fmt.Sprintf("%s[%d]", path, i)))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeMap(v.Type()))
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, f.copy(v.MapIndex(key), fmt.Sprintf("%s[%v]", path, key)))
		}
	default:
		out.Set(v)
	}
	return out
}
