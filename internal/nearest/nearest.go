// Package nearest finds the name that a user most likely meant.
package nearest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// minSimilarity is the least similarity (0 to 1) at which a name is offered as a correction.
const minSimilarity = 0.55

// Match returns the candidate that is most like name, or "" where none is alike. Case does not count. Among equals the
// alphabetically first wins, so the answer is stable.
func Match(name string, candidates []string) string {
	best, score := "", minSimilarity
	for _, candidate := range Sorted(candidates) {
		s := similarity(strings.ToLower(name), strings.ToLower(candidate))
		if s > score {
			best, score = candidate, s
		}
	}
	return best
}

func similarity(a, b string) float64 {
	s := levenshtein.Similarity(a, b, nil)
	// A beginning or a middle part is a likely abbreviation: "wrong-target" for "hotel-wrong-target-port".
	if len(a) >= 3 && strings.Contains(b, a) {
		s = max(s, 0.6+0.4*float64(len(a))/float64(len(b)))
	}
	// The same letters in another order are most likely two keys hit the wrong way round: "npo" for "nop".
	if letters(a) == letters(b) {
		s = max(s, 0.7)
	}
	return s
}

func letters(s string) string {
	runes := []rune(s)
	slices.Sort(runes)
	return string(runes)
}

// Sorted returns a sorted copy of names without duplicates.
func Sorted(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}

// UnknownError says that a name does not exist, what exists, and what was probably meant.
type UnknownError struct {
	// What is the kind of thing, for example "problem".
	What string
	Name string
	// Known is sorted.
	Known []string
	// Nearest is "" where no known name is alike.
	Nearest string
}

// Unknown returns an UnknownError with the list sorted and the nearest match found.
func Unknown(what, name string, known []string) *UnknownError {
	return &UnknownError{What: what, Name: name, Known: Sorted(known), Nearest: Match(name, known)}
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown %s %q", e.What, e.Name)
}

// Hint lists what exists, the nearest match first.
func (e *UnknownError) Hint() string {
	var b strings.Builder
	if e.Nearest != "" {
		fmt.Fprintf(&b, "did you mean %q? ", e.Nearest)
	}
	if len(e.Known) == 0 {
		fmt.Fprintf(&b, "there is no %s at all", e.What)
		return b.String()
	}
	fmt.Fprintf(&b, "known: %s", strings.Join(e.Known, ", "))
	return b.String()
}
