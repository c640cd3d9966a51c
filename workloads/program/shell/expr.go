package shell

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expr evaluates its arguments as an expression (POSIX, XCU expr), with the words match, substr, index and length of GNU and busybox. It
// exits with 1 when the value is empty or 0, and with 2 when there is none.
func expr(c *command) int {
	p := &exprParser{rest: c.args}
	value, err := p.binary(0)
	if err == nil && len(p.rest) > 0 {
		err = errExprSyntax
	}
	if err != nil {
		return c.fail(2, "%s", err)
	}
	c.printf("%s\n", value)
	if exprFalse(value) {
		return 1
	}
	return 0
}

var errExprSyntax = errors.New("syntax error")

// exprOperators are the binary operators, from the one that binds least; all are left-associative.
var exprOperators = [][]string{{"|"}, {"&"}, {"<", "<=", "=", "==", "!=", ">=", ">"}, {"+", "-"}, {"*", "/", "%"}, {":"}}

// exprParser is a recursive descent over the arguments that are left.
type exprParser struct{ rest []string }

func (p *exprParser) next() (string, error) {
	if len(p.rest) == 0 {
		return "", errExprSyntax
	}
	word := p.rest[0]
	p.rest = p.rest[1:]
	return word, nil
}

// binary parses what is joined by the operators of this level and tighter ones.
func (p *exprParser) binary(level int) (string, error) {
	if level == len(exprOperators) {
		return p.primary()
	}
	left, err := p.binary(level + 1)
	for err == nil && len(p.rest) > 0 && slices.Contains(exprOperators[level], p.rest[0]) {
		operator := p.rest[0]
		p.rest = p.rest[1:]
		var right string
		if right, err = p.binary(level + 1); err == nil {
			left, err = exprApply(operator, left, right)
		}
	}
	return left, err
}

func (p *exprParser) primary() (string, error) {
	word, err := p.next()
	if err != nil {
		return "", err
	}
	count := map[string]int{"length": 1, "index": 2, "match": 2, "substr": 3}[word]
	switch {
	case word == "(":
		value, err := p.binary(0)
		if err != nil {
			return "", err
		}
		if end, err := p.next(); err != nil || end != ")" {
			return "", errExprSyntax
		}
		return value, nil
	case count == 0 || len(p.rest) < count:
		return word, nil
	}
	var args [3]string
	for i := range count {
		if args[i], err = p.primary(); err != nil {
			return "", err
		}
	}
	switch word {
	case "length":
		return strconv.Itoa(utf8.RuneCountInString(args[0])), nil
	case "index":
		return strconv.Itoa(exprIndex(args[0], args[1])), nil
	case "match":
		return exprMatch(args[0], args[1])
	}
	return exprSubstring(args[0], args[1], args[2]), nil
}

// exprIndex is where the first of the characters is in s, counted from 1; 0 when none is.
func exprIndex(s, characters string) int {
	for i, r := range []rune(s) {
		if strings.ContainsRune(characters, r) {
			return i + 1
		}
	}
	return 0
}

// exprSubstring takes so many characters from a position counted from 1; nothing for a position or number that is none.
func exprSubstring(s, position, number string) string {
	from, err := strconv.Atoi(position)
	if err != nil || from < 1 {
		return ""
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return ""
	}
	r := []rune(s)
	from = min(from-1, len(r))
	return string(r[from:min(from+n, len(r))])
}

func exprFalse(value string) bool {
	n, ok := exprNumber(value)
	return value == "" || ok && n.Sign() == 0
}

// exprNumber is the value as an integer, if it looks like one.
func exprNumber(value string) (*big.Int, bool) {
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	return new(big.Int).SetString(value, 10)
}

func exprApply(operator, left, right string) (string, error) {
	switch operator {
	case "|":
		switch {
		case !exprFalse(left):
			return left, nil
		case right != "":
			return right, nil
		}
		return "0", nil
	case "&":
		if exprFalse(left) || exprFalse(right) {
			return "0", nil
		}
		return left, nil
	case ":":
		return exprMatch(left, right)
	case "+", "-", "*", "/", "%":
		return exprCalculate(operator, left, right)
	}
	return exprCompare(operator, left, right), nil
}

// exprCompare compares numbers as numbers and everything else as text.
func exprCompare(operator, left, right string) string {
	order := strings.Compare(left, right)
	a, first := exprNumber(left)
	if b, second := exprNumber(right); first && second {
		order = a.Cmp(b)
	}
	holds := map[string]bool{
		"<": order < 0, "<=": order <= 0, "=": order == 0, "==": order == 0, "!=": order != 0, ">=": order >= 0, ">": order > 0,
	}[operator]
	if holds {
		return "1"
	}
	return "0"
}

func exprCalculate(operator, left, right string) (string, error) {
	a, first := exprNumber(left)
	b, second := exprNumber(right)
	if !first || !second {
		return "", errors.New("non-integer argument")
	}
	if b.Sign() == 0 && (operator == "/" || operator == "%") {
		return "", errors.New("division by zero")
	}
	switch operator {
	case "+":
		a.Add(a, b)
	case "-":
		a.Sub(a, b)
	case "*":
		a.Mul(a, b)
	case "/":
		a.Quo(a, b)
	case "%":
		a.Rem(a, b)
	}
	return a.String(), nil
}

// exprMatch matches a basic regular expression at the beginning of s: the text of \(...\), or how many characters matched.
func exprMatch(s, pattern string) (string, error) {
	re, err := regexp.Compile("^(?:" + basicRegexp(strings.TrimPrefix(pattern, "^")) + ")")
	if err != nil {
		return "", fmt.Errorf("invalid regular expression %q", pattern)
	}
	found := re.FindStringSubmatch(s)
	switch {
	case re.NumSubexp() > 0 && found == nil:
		return "", nil
	case re.NumSubexp() > 0:
		return found[1], nil
	case found == nil:
		return "0", nil
	}
	return strconv.Itoa(utf8.RuneCountInString(found[0])), nil
}
