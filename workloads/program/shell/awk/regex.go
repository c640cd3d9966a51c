package awk

import (
	"fmt"
	"regexp"
	"strings"
)

// maxRegexes bounds how many regular expressions that were made from strings are kept.
const maxRegexes = 256

// compileRegex makes a POSIX extended regular expression one of Go's, whose matches are the leftmost-longest.
func compileRegex(ere string) (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?s)" + translateRegex(ere))
	if err != nil {
		return nil, fmt.Errorf("bad regular expression /%s/: %w", ere, err)
	}
	re.Longest()
	return re, nil
}

// regex is the regular expression that a string holds.
func (m *machine) regex(ere string) *regexp.Regexp {
	if re, ok := m.regexes[ere]; ok {
		return re
	}
	re, err := compileRegex(ere)
	if err != nil {
		m.fail("%w", err)
	}
	if len(m.regexes) >= maxRegexes {
		clear(m.regexes)
	}
	m.regexes[ere] = re
	return re
}

// translateRegex writes ere in Go's syntax: what only one of the two knows is written so that the other means the same.
func translateRegex(ere string) string {
	var b strings.Builder
	// start: nothing stands before that could be repeated, and an operator stands for itself.
	start := true
	for i := 0; i < len(ere); {
		ch := ere[i]
		wasStart := start
		start = false
		switch {
		case ch == '\\':
			i += translateEscape(&b, ere[i:], false)
			continue
		case ch == '[':
			i += translateBracket(&b, ere[i:])
			continue
		case isRepetition(ch) && !wasStart:
			run := i
			for run < len(ere) && isRepetition(ere[run]) {
				run++
			}
			b.WriteByte(combine(ere[i:run]))
			i = run
			continue
		case (isRepetition(ch) || ch == '{') && wasStart:
			b.WriteByte('\\')
		case ch == '(' || ch == '|' || ch == '^':
			start = true
		}
		b.WriteByte(ch)
		i++
	}
	return b.String()
}

func isRepetition(ch byte) bool { return ch == '*' || ch == '+' || ch == '?' }

// combine is the one repetition that several in a row amount to.
func combine(run string) byte {
	if strings.Trim(run, run[:1]) == "" {
		return run[0]
	}
	return '*'
}

// translateEscape writes what the backslash at the beginning of s stands for, and returns how much of s that takes.
func translateEscape(b *strings.Builder, s string, inBracket bool) int {
	if len(s) == 1 {
		b.WriteString(`\\`)
		return 1
	}
	ch := s[1]
	switch {
	case isOctal(ch):
		n, size := octal(s[1:])
		fmt.Fprintf(b, `\x{%x}`, n)
		return 1 + size
	case strings.IndexByte("nrtfva", ch) >= 0:
		b.WriteString(s[:2])
	case ch == 'b':
		b.WriteString(`\x08`)
	case !inBracket && (ch == 'y' || ch == '<' || ch == '>'):
		b.WriteString(`\b`)
	case !inBracket && strings.IndexByte("BwWsS", ch) >= 0:
		b.WriteString(s[:2])
	case !inBracket && ch == '`':
		b.WriteString(`\A`)
	case !inBracket && ch == '\'':
		b.WriteString(`\z`)
	case isLetter(ch) && ch != '_' || ch == '8' || ch == '9' || ch >= 0x80:
		b.WriteByte(ch)
	default:
		b.WriteByte('\\')
		b.WriteByte(ch)
	}
	return 2
}

// translateBracket writes the bracket expression at the beginning of s, and returns how much of s it takes.
func translateBracket(b *strings.Builder, s string) int {
	size := bracketLength(s)
	if size == 1 {
		b.WriteByte('[') // Nothing closes it, and compiling says so.
		return 1
	}
	i := 1
	b.WriteByte('[')
	if s[i] == '^' {
		b.WriteByte('^')
		i++
	}
	for i < size-1 {
		switch {
		case s[i] == '\\':
			i += translateEscape(b, s[i:size-1], true)
		case classLength(s[i:size-1]) > 0:
			class := classLength(s[i : size-1])
			b.WriteString(s[i : i+class])
			i += class
		case s[i] == ']' || s[i] == '[':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	b.WriteByte(']')
	return size
}

// bracketLength is the length of the bracket expression that s begins with: 1 when nothing on its line closes it.
func bracketLength(s string) int {
	i := 1
	if strings.HasPrefix(s[i:], "^") {
		i++
	}
	for first := true; i < len(s) && s[i] != '\n'; first = false {
		switch {
		case s[i] == ']' && !first:
			return i + 1
		case s[i] == '\\':
			i += 2
		case classLength(s[i:]) > 0:
			i += classLength(s[i:])
		default:
			i++
		}
	}
	return 1
}

// classLength is the length of a character class such as [:alpha:] at the beginning of s, or 0.
func classLength(s string) int {
	if !strings.HasPrefix(s, "[:") {
		return 0
	}
	name := strings.TrimLeft(s[2:], "abcdefghijklmnopqrstuvwxyz")
	if !strings.HasPrefix(name, ":]") || len(name) == len(s)-2 {
		return 0
	}
	return len(s) - len(name) + 2
}
