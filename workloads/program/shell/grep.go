package shell

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

func grep(c *command) int {
	f, ok := c.parse("ivcnlLqEFwxoHhsre:A:B:C:m:", map[string]string{
		"ignore-case": "i", "invert-match": "v", "count": "c", "line-number": "n", "quiet": "q", "extended-regexp": "E",
		"fixed-strings": "F", "only-matching": "o", "recursive": "r", "max-count": "m", "color": "s", "colour": "s",
	})
	if !ok {
		return codeUsage
	}
	patterns, names := f.values["e"], f.rest
	if len(patterns) == 0 {
		if len(names) == 0 {
			return c.fail(codeUsage, "no pattern")
		}
		patterns, names = names[:1], names[1:]
	}
	re, err := grepPattern(c.name, patterns, f)
	if err != nil {
		return c.fail(codeUsage, "%v", err)
	}
	if f.has("r") {
		names = c.filesBelow(names)
	}
	g := &grepper{command: c, flags: f, re: re, names: (len(names) > 1 || f.has("r") || f.has("H")) && !f.has("h")}
	for _, o := range []struct {
		name string
		to   *int
	}{{"C", &g.before}, {"C", &g.after}, {"B", &g.before}, {"A", &g.after}, {"m", &g.limit}} {
		if v, err := strconv.Atoi(f.value(o.name, "")); err == nil {
			*o.to = v
		}
	}
	if code := c.eachInput(names, g.scan); code != 0 && !f.has("s") {
		return codeUsage
	}
	if g.matched {
		return 0
	}
	return 1
}

func (c *command) filesBelow(names []string) []string {
	if len(names) == 0 {
		names = []string{"."}
	}
	var out []string
	for _, name := range names {
		// What cannot be walked is reported when it is opened.
		_ = walk(c.sys.Files, c.abs(name), name, 0, func(shown string, info os.FileInfo, _ int) error {
			if info.Mode().IsRegular() {
				out = append(out, shown)
			}
			return nil
		})
	}
	return out
}

func grepPattern(name string, patterns []string, f flags) (*regexp.Regexp, error) {
	var parts []string
	for _, p := range patterns {
		for one := range strings.SplitSeq(p, "\n") {
			switch {
			case f.has("F") || name == "fgrep":
				one = regexp.QuoteMeta(one)
			case !f.has("E") && name != "egrep":
				one = basicRegexp(one)
			}
			parts = append(parts, "(?:"+one+")")
		}
	}
	expr := strings.Join(parts, "|")
	if f.has("w") {
		expr = `\b(?:` + expr + `)\b`
	}
	if f.has("x") {
		expr = `^(?:` + expr + `)$`
	}
	if f.has("i") {
		expr = "(?i)" + expr
	}
	return regexp.Compile(expr)
}

// basicRegexp turns a basic regular expression into Go's syntax: there \( \) \{ \} \| \+ \? are operators and the bare
// characters are not.
func basicRegexp(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			if !strings.ContainsRune("(){}|+?", rune(s[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case strings.ContainsRune("(){}|+?", rune(s[i])):
			b.WriteByte('\\')
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// grepper is one grep over several files.
type grepper struct {
	*command
	flags
	re            *regexp.Regexp
	names         bool
	before, after int
	limit         int
	matched       bool
}

func (g *grepper) scan(name string, r io.Reader) error {
	var history []string
	count, number, trailing := 0, 0, 0
	err := eachLine(r, func(line string) bool {
		number++
		if g.re.MatchString(line) == g.has("v") {
			if trailing > 0 {
				trailing--
				g.line(name, number, "-", line)
			} else if history = append(history, line); len(history) > g.before {
				history = history[1:]
			}
			return g.limit == 0 || count < g.limit || trailing > 0
		}
		count++
		g.matched = true
		if g.has("q") {
			return false
		}
		if g.has("c") || g.has("l") || g.has("L") {
			return !g.has("l")
		}
		for i, old := range history {
			g.line(name, number-len(history)+i, "-", old)
		}
		history, trailing = nil, g.after
		g.line(name, number, ":", line)
		return g.limit == 0 || count < g.limit || trailing > 0
	})
	switch {
	case g.has("q"):
	case g.has("l") && count > 0, g.has("L") && count == 0:
		g.printf("%s\n", name)
	case g.has("c"):
		if g.names {
			g.printf("%s:", name)
		}
		g.printf("%d\n", count)
	}
	return err
}

func (g *grepper) line(name string, number int, sep, line string) {
	prefix := ""
	if g.names {
		prefix = name + sep
	}
	if g.has("n") {
		prefix += strconv.Itoa(number) + sep
	}
	if g.has("o") && sep == ":" && !g.has("v") {
		for _, match := range g.re.FindAllString(line, -1) {
			g.printf("%s%s\n", prefix, match)
		}
		return
	}
	g.printf("%s%s\n", prefix, line)
}
