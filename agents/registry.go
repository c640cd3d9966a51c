package agents

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agext/levenshtein"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Info describes a registered agent.
type Info struct {
	// Name is how people ask for it: lower case letters, digits and dashes.
	Name string `json:"name"`
	// Description is one sentence.
	Description string `json:"description"`
	// Origin is the Go package or the file that registered it.
	Origin string `json:"origin"`
	// NeedsScript is true for an agent that must be handed the answers (Params.Script), because it measures the harness
	// and not itself.
	NeedsScript bool `json:"needsScript,omitempty"`
	// Env are the names of the environment variables that the agent is given from the harness's own.
	Env []string `json:"env,omitempty"`
}

// Params is what an agent is made from, once per trial.
type Params struct {
	// Seed makes an agent that draws lots repeatable.
	Seed int64
	// Output takes what the agent prints of its own (a command's standard error), to be kept with the trial. nil discards it.
	Output io.Writer
	// Log is where the agent's Go code logs; nil discards it.
	Log *slog.Logger
	// Script is set for agents with Info.NeedsScript only.
	Script *Script
}

// Script is what a scripted agent plays. The orchestrator makes it; agents never see where it comes from.
type Script struct {
	// Submission is what is handed in; times are ignored.
	Submission Submission
	// Repair is run before the mitigation is handed in.
	Repair []ScriptStep
}

// ScriptStep is one act: exactly one field (Stdin goes with Kubectl) is set.
type ScriptStep struct {
	// Kubectl is one command line for the tool kubectl, without the word kubectl.
	Kubectl string
	Stdin   string
	// Wait pauses.
	Wait time.Duration
}

// Factory makes an agent for one trial.
type Factory func(Params) (Agent, error)

type entry struct {
	info Info
	make Factory
}

// registry is filled by the registration files' init functions and by --catalog at start-up.
var registry = struct {
	sync.RWMutex
	entries map[string]entry
}{entries: map[string]entry{}}

// Register makes an agent known. An empty or taken name and a nil factory are errors that name both origins. Safe for
// concurrent use.
func Register(info Info, factory Factory) error {
	if info.Name == "" || factory == nil {
		return fmt.Errorf("register agent %q from %s: name and factory are required", info.Name, info.Origin)
	}
	registry.Lock()
	defer registry.Unlock()
	if old, taken := registry.entries[info.Name]; taken {
		return fmt.Errorf("register agent %q from %s: the name is taken by %s", info.Name, info.Origin, old.info.Origin)
	}
	registry.entries[info.Name] = entry{info, factory}
	return nil
}

// MustRegister is Register for registration files: it panics on an error.
func MustRegister(info Info, factory Factory) {
	if err := Register(info, factory); err != nil {
		panic(err)
	}
}

// Names returns the names of the registered agents, sorted.
func Names() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.entries))
}

// Infos returns what is registered, sorted by name.
func Infos() []Info {
	registry.RLock()
	defer registry.RUnlock()
	out := make([]Info, 0, len(registry.entries))
	for _, e := range registry.entries {
		out = append(out, e.info)
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Lookup returns what is registered under name. An unknown name is an ErrUnknown, blamed on usage, whose hint names the
// nearest match.
func Lookup(name string) (Info, error) {
	e, err := lookup(name)
	return e.info, err
}

// New makes the agent called name for one trial. Errors are as in Lookup, or the factory's own.
func New(name string, params Params) (Agent, error) {
	e, err := lookup(name)
	if err != nil {
		return nil, err
	}
	if e.info.NeedsScript && params.Script == nil {
		return nil, fmt.Errorf("make agent %q: it needs a script", name)
	}
	if params.Output == nil {
		params.Output = io.Discard
	}
	if params.Log == nil {
		params.Log = slog.New(slog.DiscardHandler)
	}
	agent, err := e.make(params)
	if err != nil {
		return nil, fmt.Errorf("make agent %q: %w", name, err)
	}
	return agent, nil
}

func lookup(name string) (entry, error) {
	registry.RLock()
	e, ok := registry.entries[name]
	registry.RUnlock()
	if ok {
		return e, nil
	}
	names := Names()
	err := errs.With(errs.Usage, fmt.Errorf("%w %q; there are: %s", ErrUnknown, name, strings.Join(names, ", ")))
	if len(names) == 0 {
		return entry{}, err
	}
	nearest := slices.MinFunc(names, func(a, b string) int {
		return cmp.Compare(levenshtein.Distance(a, name, nil), levenshtein.Distance(b, name, nil))
	})
	return entry{}, errs.Hint(err, "did you mean %q?", nearest)
}
