package awk

import (
	"math"
	"strconv"
	"strings"
)

// value is a number, a string, or what came from outside, which is a number where it looks like one.
type value struct {
	kind valueKind
	num  float64
	str  string
}

type valueKind uint8

const (
	// unset is what a variable is before it is set: 0 and "" at once.
	unset valueKind = iota
	numeric
	textual
	// outside is a field, a record, an element that split made, or a setting of the command line.
	outside
)

func number(n float64) value        { return value{kind: numeric, num: n} }
func text(s string) value           { return value{kind: textual, str: s} }
func fromOutside(s string) value    { return value{kind: outside, str: s} }
func (v value) is(k valueKind) bool { return v.kind == k }

func boolean(b bool) value {
	if b {
		return number(1)
	}
	return number(0)
}

func (v value) float() float64 {
	if v.is(numeric) {
		return v.num
	}
	n, _ := leadingNumber(v.str)
	return n
}

// comparesAsNumber says whether a comparison with a number is one of numbers.
func (v value) comparesAsNumber() bool {
	switch v.kind {
	case numeric, unset:
		return true
	case outside:
		return looksNumeric(v.str)
	case textual:
	}
	return false
}

func (v value) isTrue() bool {
	switch {
	case v.is(numeric):
		return v.num != 0
	case v.is(outside) && looksNumeric(v.str):
		return v.float() != 0
	}
	return v.str != ""
}

// leadingNumber is the decimal number that s begins with, behind blanks, and where it ends: 0 when s begins with none.
func leadingNumber(s string) (n float64, end int) {
	start := len(s) - len(strings.TrimLeft(s, whitespace))
	end = start
	if end < len(s) && (s[end] == '+' || s[end] == '-') {
		end++
	}
	size := decimalLength(s[end:])
	if size == 0 {
		return 0, 0
	}
	end += size
	n, _ = strconv.ParseFloat(s[start:end], 64) // What is too large is infinite, as it says beside its error.
	return n, end
}

const whitespace = " \t\n\v\f\r"

func looksNumeric(s string) bool {
	_, end := leadingNumber(s)
	return end > 0 && strings.Trim(s[end:], whitespace) == ""
}

// decimalLength is how much of s is a decimal number without a sign.
func decimalLength(s string) int {
	i, digits := 0, 0
	for ; i < len(s) && isDigit(s[i]); i++ {
		digits++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && isDigit(s[i]); i++ {
			digits++
		}
	}
	if digits == 0 {
		return 0
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		first := j
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if j > first {
			i = j
		}
	}
	return i
}

func isDigit(ch byte) bool { return ch >= '0' && ch <= '9' }

// text is v as a string.
func (m *machine) text(v value) string {
	if v.is(numeric) {
		return m.numberText(v.num, m.convfmt)
	}
	return v.str
}

// exactBelow bounds the whole numbers that are written with all their digits.
const exactBelow = 1e18

// numberText is a number as a string: a whole one with all its digits, any other in format, which is CONVFMT or OFMT.
func (m *machine) numberText(n float64, format string) string {
	switch {
	case math.IsNaN(n):
		return "nan"
	case math.IsInf(n, 1):
		return "inf"
	case math.IsInf(n, -1):
		return "-inf"
	case n == math.Trunc(n) && math.Abs(n) < exactBelow:
		return strconv.FormatInt(int64(n), 10)
	case m.converting:
		// The format asks for a string, which needs a format.
		return strconv.FormatFloat(n, 'g', 6, 64)
	}
	m.converting = true
	defer func() { m.converting = false }()
	return m.sprintf(format, []value{number(n)})
}
