// Package evaluatortest holds golden trials: stored inputs with the scores that they must get, whatever grades them.
package evaluatortest

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/gameday-bench/gameday/evaluator"
)

//go:embed testdata/*.json
var files embed.FS

// Trial is one golden trial.
type Trial struct {
	// Name is file/case.
	Name  string
	Tasks []string
	Input evaluator.Input
	// Want are the scores in order; nil where Error is set.
	Want []evaluator.Score
	// Error is the whole text of the error that grading must return, or "".
	Error string
}

type file struct {
	Tasks []string       `json:"tasks"`
	Base  map[string]any `json:"base"`
	Cases []struct {
		Name string `json:"name"`
		// Patch is merged into Base as RFC 7386 says.
		Patch map[string]any    `json:"patch"`
		Want  []evaluator.Score `json:"want"`
		Error string            `json:"error"`
	} `json:"cases"`
}

// Trials returns all golden trials, sorted by file, in the order of the cases.
func Trials() ([]Trial, error) {
	entries, err := files.ReadDir("testdata")
	if err != nil {
		return nil, fmt.Errorf("read golden trials: %w", err)
	}
	var out []Trial
	for _, entry := range entries {
		data, err := files.ReadFile(path.Join("testdata", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read golden trials: %w", err)
		}
		var f file
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("decode golden trials %s: %w", entry.Name(), err)
		}
		for _, c := range f.Cases {
			t := Trial{Name: strings.TrimSuffix(entry.Name(), ".json") + "/" + c.Name, Tasks: f.Tasks, Want: c.Want, Error: c.Error}
			merged, err := json.Marshal(merge(f.Base, c.Patch))
			if err != nil {
				return nil, fmt.Errorf("merge golden trial %s: %w", t.Name, err)
			}
			if err := json.Unmarshal(merged, &t.Input); err != nil {
				return nil, fmt.Errorf("decode golden trial %s: %w", t.Name, err)
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// merge is RFC 7386: null removes, objects merge, everything else replaces.
func merge(base, patch map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range patch {
		if v == nil {
			delete(out, k)
			continue
		}
		p, isObject := v.(map[string]any)
		b, wasObject := out[k].(map[string]any)
		if isObject && wasObject {
			v = merge(b, p)
		}
		out[k] = v
	}
	return out
}
