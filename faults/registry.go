package faults

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Constructor makes a fault of one type from the spec of its file. It only reads and checks: nothing is injected, and no
// cluster is needed. The error is a yamlx.ErrorList, or what Spec.Fail returns.
type Constructor func(spec Spec) (Fault, error)

// registry holds the types of faults. It is filled while the program starts, by package types and by whoever adds a type of
// his own, and only read afterwards.
var registry struct {
	sync.RWMutex
	types map[string]Constructor
}

// Register adds a type of faults. It panics on an empty or known name and on nil: that is a mistake in the program.
func Register(name string, c Constructor) {
	registry.Lock()
	defer registry.Unlock()
	if _, known := registry.types[name]; known || name == "" || c == nil {
		panic(fmt.Sprintf("register fault type %q: the name must be new and the constructor not nil", name))
	}
	if registry.types == nil {
		registry.types = map[string]Constructor{}
	}
	registry.types[name] = c
}

// Types returns the names of the known types, sorted.
func Types() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.types))
}

func construct(file File, spec Spec) (Fault, error) {
	registry.RLock()
	c, ok := registry.types[file.Type]
	registry.RUnlock()
	if !ok {
		unknown := nearest.Unknown("fault type", file.Type, Types())
		return nil, yamlx.ErrorList{spec.doc.Problem("type", "%v; %s", unknown, unknown.Hint())}
	}
	return c(spec)
}
