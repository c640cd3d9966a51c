package mysqld

import (
	"strings"
	"unicode/utf8"
)

// constant is a constant of a WHERE clause: the text between its quotes, or a number that has an exponent.
type constant struct {
	text   string
	number bool
}

// shape is a SELECT without the constants of its WHERE clause. Statements with one key differ in nothing but these.
type shape struct {
	// key has the database, and the statement with a mark in the place of each constant.
	key       []byte
	constants []constant
}

// The marks of constants in a key. A statement with control characters has no shape.
const (
	markText   = 0x01
	markNumber = 0x02
)

// of takes a statement apart. It is false for whatever is not a SELECT in plain words: comments, quoted names, escapes, several
// statements, and characters beyond ASCII. What it takes for a constant, the parser does too, or finds no statement at all.
func (s *shape) of(database, query string) bool {
	const first = "SELECT "
	if len(query) < len(first) || !strings.EqualFold(query[:len(first)], first) {
		return false
	}
	s.key, s.constants = append(append(s.key[:0], database...), 0), s.constants[:0]
	where := false
	for rest := query; rest != ""; {
		n := 0
		switch c := rest[0]; {
		case isLetter(c):
			n = span(rest, isWord)
			where = where || strings.EqualFold(rest[:n], "where")
			s.key = append(s.key, rest[:n]...)
			if strings.HasPrefix(rest[n:], "'") {
				return false // x'41', or a character set.
			}
		case isDigit(c):
			n = s.number(rest, where)
		case c == '\'' && where:
			n = s.text(rest)
		case strings.IndexByte(" \t\r\n,()=<>.*+-", c) >= 0 && !strings.HasPrefix(rest, "--"):
			n = 1
			s.key = append(s.key, c)
		}
		if n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// number takes a number off the start and returns its length, 0 when it is not understood. Only numbers with an exponent are DOUBLE to
// MySQL, and of one type whatever their value.
func (s *shape) number(rest string, where bool) int {
	n := span(rest, isDigit)
	if strings.HasPrefix(rest[n:], ".") {
		n += 1 + span(rest[n+1:], isDigit)
	}
	exponent := n < len(rest) && (rest[n] == 'e' || rest[n] == 'E')
	if exponent {
		n++
		if n < len(rest) && (rest[n] == '+' || rest[n] == '-') {
			n++
		}
		digits := span(rest[n:], isDigit)
		if digits == 0 {
			return 0
		}
		n += digits
	}
	switch {
	case n < len(rest) && isWord(rest[n]), where && !exponent:
		return 0
	case where:
		s.key, s.constants = append(s.key, markNumber), append(s.constants, constant{rest[:n], true})
	default:
		s.key = append(s.key, rest[:n]...)
	}
	return n
}

// text takes a text in quotes off the start and returns its length, 0 when it is not understood.
func (s *shape) text(rest string) int {
	end := strings.IndexByte(rest[1:], '\'')
	if end < 0 {
		return 0
	}
	text, after := rest[1:1+end], rest[end+2:]
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return 0
		}
	}
	if strings.HasPrefix(after, "'") {
		return 0
	}
	s.key, s.constants = append(s.key, markText), append(s.constants, constant{text: text})
	return end + 2
}

// span returns how many bytes at the start are of a kind.
func span(s string, is func(byte) bool) int {
	for i := range len(s) {
		if !is(s[i]) {
			return i
		}
	}
	return len(s)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
