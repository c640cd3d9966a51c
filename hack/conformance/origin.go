package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// origin is where the outcomes come from.
type origin struct {
	first, last time.Time
	work        time.Duration
	// builds are the tests by the build that their outcome is of.
	builds map[string][]string
}

func (f *origin) add(o outcome) {
	if begin := o.At.Add(-o.Took); f.first.IsZero() || begin.Before(f.first) {
		f.first = begin
	}
	if o.At.After(f.last) {
		f.last = o.At
	}
	f.work += o.Took
	f.builds[o.Build] = append(f.builds[o.Build], o.Name)
}

// write says when the tests ran and on which build. Of several builds, all tests but those of the most frequent one are named.
func (f *origin) write(b *strings.Builder) {
	if f.first.IsZero() {
		return
	}
	const minute = "2006-01-02 15:04"
	fmt.Fprintf(b, "The outcomes are from %s to %s UTC; the tests took %s in sum, several at a time.\n", f.first.Format(minute),
		f.last.Format(minute), f.work.Round(time.Second))
	builds := slices.SortedFunc(maps.Keys(f.builds), func(x, y string) int {
		if n := len(f.builds[y]) - len(f.builds[x]); n != 0 {
			return n
		}
		return strings.Compare(x, y)
	})
	if len(builds) == 1 {
		fmt.Fprintf(b, "All are of one build: %s.\n", builds[0])
		return
	}
	fmt.Fprintf(b, "%d are of the build %s. Others were run again, or for the first time, later or earlier:\n", len(f.builds[builds[0]]), builds[0])
	for _, name := range builds[1:] {
		fmt.Fprintf(b, "\n- on the build %s:\n", name)
		for _, test := range f.builds[name] {
			fmt.Fprintf(b, "  - %s\n", cell(test))
		}
	}
}
