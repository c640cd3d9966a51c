package orchestrator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// findings are what the looks of a gate found missing. A gate that does not come to hold is understood by what kept it most often, which
// need not be what the last look found.
type findings struct {
	last  string
	kinds []finding
}

// finding is one kind of reason, of which only the figures differ from look to look.
type finding struct {
	kind, latest string
	looks        int
}

// figures are what differs between two findings of the same kind: numbers, times of day, and durations.
var figures = regexp.MustCompile(`([0-9]+([.:][0-9]+)*(e[+-][0-9]+|ms|µs|h|m|s)?)+`)

func (f *findings) add(reason string) {
	f.last = reason
	kind := figures.ReplaceAllString(reason, "0")
	i := slices.IndexFunc(f.kinds, func(k finding) bool { return k.kind == kind })
	if i < 0 {
		i, f.kinds = len(f.kinds), append(f.kinds, finding{kind: kind})
	}
	f.kinds[i].latest = reason
	f.kinds[i].looks++
}

// shownFindings is how many kinds are told of.
const shownFindings = 3

// String is what the last look found. Where others found something else, it tells how often that was, the most frequent first.
func (f *findings) String() string {
	if len(f.kinds) < 2 {
		return f.last
	}
	kinds, all := slices.Clone(f.kinds), 0
	slices.SortStableFunc(kinds, func(a, b finding) int { return b.looks - a.looks })
	for _, k := range kinds {
		all += k.looks
	}
	var told []string
	for _, k := range kinds[:min(shownFindings, len(kinds))] {
		told = append(told, fmt.Sprintf("%d × %s", k.looks, k.latest))
	}
	return fmt.Sprintf("%s (of %d looks: %s)", f.last, all, strings.Join(told, "; "))
}
