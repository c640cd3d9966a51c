// Package leak looks at a system through the tools that an agent has, and finds what names a fault or its injection.
package leak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/agents"
)

// Finding is something forbidden that an agent can see.
type Finding struct {
	Look  Look
	Shown string
}

func (f Finding) String() string { return fmt.Sprintf("%s shows %q", f.Look, f.Shown) }

// findingsEach is how many findings of one look are told.
const findingsEach = 3

// Search looks at everything that cloud can show, to the last page. The error says what could not be looked at.
func Search(ctx context.Context, cloud agents.Cloud, v Vocabulary) ([]Finding, error) {
	var found []Finding
	look := func(l Look) (string, error) {
		text, err := everything(ctx, cloud, l)
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", l, err)
		}
		for _, shown := range v.Find(text, findingsEach) {
			found = append(found, Finding{l, shown})
		}
		return text, nil
	}
	for _, s := range stages() {
		text, err := look(s.look)
		if err != nil {
			return nil, err
		}
		if s.next == nil {
			continue
		}
		for _, l := range s.next(text) {
			if _, err := look(l); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// readOn finds the call that continues a truncated output.
var readOn = regexp.MustCompile(`\n?\[[^\[]*read on with (\S+) (\{[^{}]*\})\]\s*$`)

// everything pages through the whole output of one call.
func everything(ctx context.Context, cloud agents.Cloud, l Look) (string, error) {
	args, err := json.Marshal(l.Args)
	if err != nil {
		return "", fmt.Errorf("encode arguments: %w", err)
	}
	result, err := cloud.Call(ctx, l.Tool, args)
	if err != nil {
		return "", err
	}
	if result.IsError && !l.asFarAsSeen(result.Output) {
		return "", errors.New(firstLine(result.Output))
	}
	var whole strings.Builder
	for {
		if !result.Truncated {
			whole.WriteString(result.Output)
			return whole.String(), nil
		}
		next := readOn.FindStringSubmatch(result.Output)
		if next == nil {
			return "", errors.New("the output is truncated and does not say how to read on")
		}
		whole.WriteString(strings.TrimSuffix(result.Output, next[0]))
		if result, err = cloud.Call(ctx, next[1], json.RawMessage(next[2])); err != nil {
			return "", err
		}
		if result.IsError {
			return "", fmt.Errorf("read on: %s", firstLine(result.Output))
		}
	}
}

// asFarAsSeen says whether a failure means that there is no more for an agent to see: it may not look, what was listed a
// moment ago is gone, or metrics' own API does not answer at present. Any other API that does not answer has not been looked at.
func (l Look) asFarAsSeen(output string) bool {
	if strings.Contains(output, "(ServiceUnavailable)") {
		return strings.Contains(l.String(), "metrics.k8s.io")
	}
	return slices.ContainsFunc([]string{
		"No resources found", "(Forbidden)", "(NotFound)", "(MethodNotAllowed)", "doesn't have a resource type",
		"unable to retrieve the complete list of server APIs", "there is no trace",
	}, func(s string) bool { return strings.Contains(output, s) })
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
