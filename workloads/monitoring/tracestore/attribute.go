package tracestore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// attribute is a key and a value. typ says which field holds the value.
type attribute struct {
	key string
	typ valueType
	str string
	num uint64 // a bool, an int64 or the bits of a float64
}

type valueType byte

const (
	typeString valueType = iota
	typeBool
	typeInt
	typeFloat
)

// text returns the value as people write it in a query.
func (a attribute) text() string {
	switch a.typ {
	case typeBool:
		return strconv.FormatBool(a.num != 0)
	case typeInt:
		return strconv.FormatInt(int64(a.num), 10) //nolint:gosec // two's complement on the wire.
	case typeFloat:
		return fmt.Sprint(jsonFloat(a.num))
	}
	return a.str
}

// value returns the attribute's value as encoding/json prints it.
func (a attribute) value() any {
	switch a.typ {
	case typeBool:
		return a.num != 0
	case typeInt:
		return int64(a.num) //nolint:gosec // two's complement on the wire.
	case typeFloat:
		return jsonFloat(a.num)
	}
	return a.str
}

// jsonFloat is a float64 as encoding/json prints it: what is not a finite number becomes a text.
func jsonFloat(bits uint64) any {
	v := math.Float64frombits(bits)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return v
}

// parseAttribute reads a KeyValue.
func parseAttribute(b []byte) (attribute, error) {
	var a attribute
	err := walk(b, func(f field) error {
		switch f.number {
		case keyValueKey:
			a.key = f.text()
		case keyValueValue:
			return a.parseValue(f.data)
		}
		return nil
	})
	return a, err
}

// parseValue reads an AnyValue. Lists, maps and bytes become their JSON, as Jaeger shows them.
func (a *attribute) parseValue(b []byte) error {
	return walk(b, func(f field) error {
		switch f.number {
		case anyString:
			a.typ, a.str = typeString, f.text()
		case anyBool:
			a.typ, a.num = typeBool, f.num
		case anyInt:
			a.typ, a.num = typeInt, f.num
		case anyDouble:
			a.typ, a.num = typeFloat, f.num
		case anyArray, anyMap, anyBytes:
			v, err := plain(f)
			if err != nil {
				return err
			}
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			a.typ, a.str = typeString, string(text)
		}
		return nil
	})
}

// plain turns one field of an AnyValue into what encoding/json prints.
func plain(f field) (any, error) {
	switch f.number {
	case anyString:
		return f.text(), nil
	case anyBool:
		return f.num != 0, nil
	case anyInt:
		return int64(f.num), nil //nolint:gosec // two's complement on the wire.
	case anyDouble:
		return jsonFloat(f.num), nil
	case anyBytes:
		return base64.StdEncoding.EncodeToString(f.data), nil
	case anyArray:
		list := []any{}
		err := walk(f.data, func(f field) error {
			return walk(f.data, func(f field) error {
				v, err := plain(f)
				list = append(list, v)
				return err
			})
		})
		return list, err
	}
	object := map[string]any{}
	err := walk(f.data, func(f field) error {
		a, err := parseAttribute(f.data)
		object[a.key] = a.value()
		return err
	})
	return object, err
}
