package awk

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth bounds widths and precisions.
const maxWidth = 1_000_000

// conversion is one % of a format.
type conversion struct {
	flags string
	// width and precision are -1 when there are none.
	width, precision int
	verb             byte
}

// sprintf formats args as printf does in C.
func (m *machine) sprintf(format string, args []value) string {
	var b strings.Builder
	next := func() value {
		if len(args) == 0 {
			m.fail("not enough arguments for the format %q", format)
		}
		v := args[0]
		args = args[1:]
		return v
	}
	for rest := format; rest != ""; {
		plain, after, found := strings.Cut(rest, "%")
		b.WriteString(plain)
		if !found {
			break
		}
		c, size := m.parseConversion(after, next)
		switch {
		case size == 0:
			b.WriteByte('%') // It is the last character.
		case c.verb == '%':
			b.WriteByte('%')
		case strings.IndexByte("dioxXucseEfFgG", c.verb) < 0:
			b.WriteString("%" + after[:size])
		default:
			b.WriteString(m.convert(c, next()))
		}
		rest = after[size:]
	}
	return b.String()
}

// parseConversion reads what stands behind a %, and how long that is.
func (m *machine) parseConversion(s string, next func() value) (conversion, int) {
	c := conversion{width: -1, precision: -1}
	i := len(s) - len(strings.TrimLeft(s, "-+ #0"))
	c.flags = s[:i]
	var given bool
	if c.width, i, given = m.parseWidth(s, i, next); given && c.width < 0 {
		c.flags += "-"
		c.width = -c.width
	}
	if !given {
		c.width = -1
	}
	if i < len(s) && s[i] == '.' {
		if c.precision, i, given = m.parseWidth(s, i+1, next); !given {
			c.precision = 0
		}
		c.precision = max(c.precision, -1)
	}
	for i < len(s) && strings.IndexByte("hlLqjzt", s[i]) >= 0 {
		i++
	}
	if i >= len(s) {
		return c, len(s)
	}
	c.verb = s[i]
	return c, i + 1
}

// parseWidth reads digits, or takes a star's width from the arguments.
func (m *machine) parseWidth(s string, i int, next func() value) (n, end int, given bool) {
	if i < len(s) && s[i] == '*' {
		f := next().float()
		if math.IsNaN(f) || math.Abs(f) > maxWidth {
			m.fail("a width of %g is too large", f)
		}
		return int(f), i + 1, true
	}
	for end = i; end < len(s) && isDigit(s[end]); end++ {
		if n = n*10 + int(s[end]-'0'); n > maxWidth {
			m.fail("a width of %s is too large", s[i:end+1])
		}
	}
	return n, end, end > i
}

func (m *machine) convert(c conversion, v value) string {
	switch c.verb {
	case 's':
		return c.format('s', m.text(v))
	case 'c':
		return c.format('s', m.character(v))
	case 'd', 'i', 'u', 'o', 'x', 'X':
		return c.integer(v.float())
	}
	n := v.float()
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return c.special(n)
	}
	if c.verb == 'g' || c.verb == 'G' {
		if c.precision < 0 {
			c.precision = 6
		}
		c.precision = max(c.precision, 1)
	}
	return c.format(c.verb, n)
}

// character is what %c prints: the character with a number, or the first of a string.
func (m *machine) character(v value) string {
	if v.is(numeric) || (v.is(outside) && looksNumeric(v.str)) {
		return string(rune(int32(v.float())))
	}
	_, size := utf8.DecodeRuneInString(v.str)
	return v.str[:size]
}

// integer formats a number without its fraction.
func (c conversion) integer(n float64) string {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return c.special(n)
	}
	n = math.Trunc(n)
	whole := int64(n)
	switch {
	case math.Abs(n) >= 1<<63:
		c.precision = -1
		return c.format('s', strconv.FormatFloat(n, 'f', 0, 64))
	case c.verb == 'o' || c.verb == 'x' || c.verb == 'X':
		return c.format(c.verb, uint64(whole))
	}
	return c.format('d', whole)
}

// special formats what is not a number of digits.
func (c conversion) special(n float64) string {
	c.precision = -1
	s := "nan"
	switch {
	case math.IsInf(n, 1):
		s = "inf"
	case math.IsInf(n, -1):
		s = "-inf"
	}
	return c.format('s', s)
}

// format formats with one of Go's verbs. Its flags mean what C's do, but that strings are never filled with zeros.
func (c conversion) format(verb byte, arg any) string {
	var spec strings.Builder
	spec.WriteByte('%')
	for _, flag := range c.flags {
		if verb == 's' && flag != '-' {
			continue
		}
		spec.WriteRune(flag)
	}
	if c.width >= 0 {
		spec.WriteString(strconv.Itoa(c.width))
	}
	if c.precision >= 0 {
		spec.WriteString("." + strconv.Itoa(c.precision))
	}
	spec.WriteByte(verb)
	return fmt.Sprintf(spec.String(), arg)
}
