package awk

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// kind is what a token is: one of the constants, or for keywords and operators their own text.
type kind string

const (
	tokEnd     kind = "end of program"
	tokNewline kind = "newline"
	tokNumber  kind = "number"
	tokString  kind = "string"
	tokName    kind = "name"
	// tokCall is a name with a parenthesis right behind it.
	tokCall    kind = "function name"
	tokBuiltin kind = "built-in function"
)

type token struct {
	kind kind
	// text is the name, the digits, or the string with its escape sequences resolved.
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case tokEnd, tokNewline, tokString:
		return string(t.kind)
	case tokNumber, tokName, tokCall, tokBuiltin:
		if t.text == "" {
			return string(t.kind)
		}
		return "'" + t.text + "'"
	}
	return "'" + string(t.kind) + "'"
}

var (
	keywords = []string{
		"BEGIN", "END", "break", "continue", "delete", "do", "else", "exit", "for", "func", "function", "getline", "if", "in", "next",
		"nextfile", "print", "printf", "return", "while",
	}
	// operators are tried in this order: the longer ones first.
	operators = []string{
		"**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "**", "==", "<=", ">=", "!=", "!~", ">>",
		"{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", "<", ">", "|", "?", ":", "~", "$", "=",
	}
)

// lexer cuts a source into tokens. It holds no more than a position, so that a copy of it is a place to go back to.
type lexer struct {
	src  string
	pos  int
	line int
}

// fail ends Parse.
func (l *lexer) fail(format string, args ...any) {
	panic(&SyntaxError{Line: l.line, Message: fmt.Sprintf(format, args...)})
}

func (l *lexer) next() token {
	l.skipBlanks()
	t := token{line: l.line}
	if l.pos >= len(l.src) {
		t.kind = tokEnd
		return t
	}
	switch ch := l.src[l.pos]; {
	case ch == '\n':
		l.pos++
		l.line++
		t.kind = tokNewline
	case ch == '"':
		t.kind, t.text = tokString, l.quoted()
	case decimalLength(l.src[l.pos:]) > 0:
		size := decimalLength(l.src[l.pos:])
		t.kind, t.text = tokNumber, l.src[l.pos:l.pos+size]
		l.pos += size
	case isLetter(ch):
		t.kind, t.text = l.word()
	default:
		t.kind = l.operator()
	}
	return t
}

// skipBlanks skips blanks, comments, and ends of lines that a backslash hides.
func (l *lexer) skipBlanks() {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case strings.HasPrefix(rest, "\\\n"):
			l.pos += 2
			l.line++
		case strings.HasPrefix(rest, "\\\r\n"):
			l.pos += 3
			l.line++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			l.pos++
		case rest[0] == '#':
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		default:
			return
		}
	}
}

func isLetter(ch byte) bool {
	return ch == '_' || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
}

func (l *lexer) word() (kind, string) {
	start := l.pos
	for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
		l.pos++
	}
	name := l.src[start:l.pos]
	switch {
	case name == "func":
		return "function", name
	case slices.Contains(keywords, name):
		return kind(name), name
	}
	if _, ok := builtins[name]; ok {
		return tokBuiltin, name
	}
	if strings.HasPrefix(l.src[l.pos:], "(") {
		return tokCall, name
	}
	return tokName, name
}

func (l *lexer) operator() kind {
	rest := l.src[l.pos:]
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		l.pos += len(op)
		switch op {
		case "**":
			op = "^"
		case "**=":
			op = "^="
		}
		return kind(op)
	}
	r, _ := utf8.DecodeRuneInString(rest)
	l.fail("unexpected character %q", r)
	return tokEnd
}

// quoted reads a string from its first quote to its last.
func (l *lexer) quoted() string {
	start := l.pos + 1
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch l.src[l.pos] {
		case '"':
			l.pos++
			return unescape(l.src[start : l.pos-1])
		case '\n':
			l.fail("unterminated string")
		case '\\':
			if l.pos++; l.pos < len(l.src) && l.src[l.pos] == '\n' {
				l.line++
			}
		}
	}
	l.fail("unterminated string")
	return ""
}

// unescape resolves the escape sequences of a string. A backslash before a character that has no meaning with it stays.
func unescape(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			b.WriteByte(raw[i])
			continue
		}
		i++
		ch := raw[i]
		switch at := strings.IndexByte("abfnrtv", ch); {
		case ch == '\n':
		case at >= 0:
			b.WriteByte("\a\b\f\n\r\t\v"[at])
		case ch == '"' || ch == '\\' || ch == '/':
			b.WriteByte(ch)
		case isOctal(ch):
			n, size := octal(raw[i:])
			b.WriteByte(n)
			i += size - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func isOctal(ch byte) bool { return ch >= '0' && ch <= '7' }

// octal reads up to three octal digits.
func octal(s string) (n byte, size int) {
	for size < min(3, len(s)) && isOctal(s[size]) {
		n = n*8 + s[size] - '0'
		size++
	}
	return n, size
}

// regex reads a regular expression up to its closing slash. The opening one, and what the lexer took together with it, is behind.
func (l *lexer) regex(begun string) string {
	var b strings.Builder
	b.WriteString(begun)
	for l.pos < len(l.src) {
		switch ch := l.src[l.pos]; {
		case ch == '\n':
			l.fail("unterminated regular expression")
		case ch == '/':
			l.pos++
			return b.String()
		case ch == '[':
			size := bracketLength(l.src[l.pos:])
			b.WriteString(l.src[l.pos : l.pos+size])
			l.pos += size
			continue
		case ch == '\\' && strings.HasPrefix(l.src[l.pos+1:], "/"):
			b.WriteByte('/')
			l.pos += 2
			continue
		case ch == '\\' && l.pos+1 < len(l.src) && l.src[l.pos+1] != '\n':
			b.WriteString(l.src[l.pos : l.pos+2])
			l.pos += 2
			continue
		default:
			b.WriteByte(ch)
		}
		l.pos++
	}
	l.fail("unterminated regular expression")
	return ""
}
