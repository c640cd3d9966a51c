package problems

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// variants is the name under which Variants are drawn. A parameter cannot be called so: it has a character that none has.
const variants = "$variants"

// Draw picks one value for each parameter. Seed 0 is the canonical draw: the first value of each. Any other seed picks
// value number
//
//	SHA-256(decimal seed, NUL, problem id, NUL, parameter name)[0:8] as a big-endian integer, modulo the number of values
//
// so a draw never depends on the Go version, the platform or the other parameters, and adding a parameter changes no other.
// Variants are drawn as one parameter called "$variants".
func (p Problem) Draw(seed int64) Draw {
	draw := Draw{"namespace": p.App}
	for name, values := range p.Parameters {
		if len(values) > 0 {
			draw[name] = values[p.pick(seed, name, len(values))]
		}
	}
	if len(p.Variants) > 0 {
		maps.Copy(draw, p.Variants[p.pick(seed, variants, len(p.Variants))])
	}
	return draw
}

func (p Problem) pick(seed int64, name string, n int) int {
	if seed == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(strconv.FormatInt(seed, 10) + "\x00" + p.ID + "\x00" + name))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(n))
}

// Samples returns draws in which every value of every parameter and every variant occurs at least once, the canonical one
// first: what has to hold for any seed is checked on these.
func (p Problem) Samples() []Draw {
	canonical := p.Draw(0)
	out := []Draw{canonical}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		for _, value := range p.Parameters[name][min(1, len(p.Parameters[name])):] {
			draw := maps.Clone(canonical)
			draw[name] = value
			out = append(out, draw)
		}
	}
	for _, variant := range p.Variants[min(1, len(p.Variants)):] {
		draw := maps.Clone(canonical)
		maps.Copy(draw, variant)
		out = append(out, draw)
	}
	return out
}

// ParameterNames returns the names that a draw of this problem holds, sorted.
func (p Problem) ParameterNames() []string {
	return slices.Sorted(maps.Keys(p.Draw(0)))
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// Fill replaces every ${parameter} in text by its value. The error names each parameter that the draw does not have; the
// text is then returned with those left in place. "$${" stands for a literal "${".
func (d Draw) Fill(text string) (string, error) {
	const literal = "\x00literal\x00"
	var unknown []string
	text = strings.ReplaceAll(text, "$${", literal)
	text = placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-1]
		value, ok := d[name]
		if !ok {
			unknown = append(unknown, name)
			return match
		}
		return value
	})
	text = strings.ReplaceAll(text, literal, "${")
	if unknown != nil {
		slices.Sort(unknown)
		return text, &UnknownParameterError{slices.Compact(unknown), slices.Sorted(maps.Keys(d))}
	}
	return text, nil
}

// String is "name=value" of each parameter, sorted.
func (d Draw) String() string {
	parts := make([]string, 0, len(d))
	for _, name := range slices.Sorted(maps.Keys(d)) {
		parts = append(parts, name+"="+d[name])
	}
	return strings.Join(parts, " ")
}

// UnknownParameterError says that a template uses parameters that its problem does not declare.
type UnknownParameterError struct {
	Names []string
	Known []string
}

func (e *UnknownParameterError) Error() string {
	return fmt.Sprintf("unknown parameter ${%s} (declared: %s)", strings.Join(e.Names, "}, ${"), strings.Join(e.Known, ", "))
}
