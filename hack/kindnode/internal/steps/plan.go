// Package steps runs steps of work that build on one another. What a step makes is kept under a digest of everything that went into it,
// so that a step is done again only where its result would be another one; how long each took is known in the end.
package steps

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Lane is what a step keeps busy. Steps of one lane share its places.
type Lane string

// The lanes.
const (
	// Fetch is for steps that wait for the network.
	Fetch Lane = "fetch"
	// Build is for steps that compute.
	Build Lane = "build"
)

// Dirs are the directories with what earlier steps made, by the steps' names.
type Dirs map[string]string

// Step is one unit of work.
type Step struct {
	// Name is unique in a plan, and part of a directory's name.
	Name string
	Lane Lane
	// After are the steps whose results it reads. They are declared before it.
	After []string
	// Inputs are everything else that decides what it makes.
	Inputs []string
	// Effect marks a step that changes something outside of its directory: it has none, its result is not kept, and it is done
	// whenever a step after it is.
	Effect bool
	// Run does the work: it fills dir, which exists and is empty. The note is shown beside the step's time.
	Run func(ctx context.Context, dir string, after Dirs) (note string, err error)
}

// Plan is a set of steps in an order in which they can be done.
type Plan struct {
	root    string
	steps   []Step
	index   map[string]int
	digests map[string]string
}

// NewPlan makes a plan of steps, each after those that it builds on. Results are kept in directories of root.
func NewPlan(root string, steps ...Step) (*Plan, error) {
	p := &Plan{root: root, steps: steps, index: map[string]int{}, digests: map[string]string{}}
	for i, s := range steps {
		if _, twice := p.index[s.Name]; twice {
			return nil, fmt.Errorf("plan steps: two are called %s", s.Name)
		}
		for _, earlier := range s.After {
			if _, known := p.index[earlier]; !known {
				return nil, fmt.Errorf("plan steps: %s comes after %s, which is not declared before it", s.Name, earlier)
			}
		}
		digest, err := p.digest(s)
		if err != nil {
			return nil, err
		}
		p.index[s.Name], p.digests[s.Name] = i, digest
	}
	return p, nil
}

// digest is that of everything that decides what a step makes.
func (p *Plan) digest(s Step) (string, error) {
	type result struct{ Name, Digest string }
	after := make([]result, 0, len(s.After))
	for _, name := range s.After {
		after = append(after, result{name, p.digests[name]})
	}
	data, err := json.Marshal(struct {
		Name   string
		After  []result
		Inputs []string
	}{s.Name, after, s.Inputs})
	if err != nil {
		return "", fmt.Errorf("encode inputs of %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Digest is the digest of everything that decides what the step makes, in hexadecimal digits; empty for a step that is not of the plan.
func (p *Plan) Digest(step string) string { return p.digests[step] }

// Short is how much of a digest is shown: enough for the results of one project.
const Short = 12

// Dir is where the result of a step is, once it is done.
func (p *Plan) Dir(step string) string {
	return filepath.Join(p.root, step+"-"+p.digests[step][:Short])
}

// Missing returns those of the steps called want that Run would do: results that are not kept, and effects. They are steps of the plan.
func (p *Plan) Missing(want ...string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(name string) bool {
		_, err := os.Stat(p.Dir(name))
		return err == nil && !p.steps[p.index[name]].Effect
	})
}

// Stale returns the directories of root that are no results of this plan: those of other versions, and halves.
func (p *Plan) Stale() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(p.root, "*"))
	if err != nil {
		return nil, fmt.Errorf("list results: %w", err)
	}
	return slices.DeleteFunc(all, func(dir string) bool {
		return slices.ContainsFunc(p.steps, func(s Step) bool { return p.Dir(s.Name) == dir })
	}), nil
}
