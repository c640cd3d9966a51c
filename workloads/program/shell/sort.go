package shell

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

func sortLines(c *command) int {
	f, ok := c.parse("rnufhk:t:b", map[string]string{"reverse": "r", "numeric-sort": "n", "unique": "u"})
	if !ok {
		return codeUsage
	}
	lines, code := c.allLines(f.rest)
	key := func(line string) string {
		spec, _, _ := strings.Cut(f.value("k", ""), ",")
		n, err := strconv.Atoi(strings.TrimRight(spec, "nrbf"))
		if err != nil {
			return line
		}
		fields := strings.Fields(line)
		if f.has("t") {
			fields = strings.Split(line, f.value("t", " "))
		}
		if n < 1 || n > len(fields) {
			return ""
		}
		return strings.Join(fields[n-1:], " ")
	}
	numeric := f.has("n") || f.has("h") || strings.Contains(f.value("k", ""), "n")
	slices.SortStableFunc(lines, func(a, b string) int {
		ka, kb := key(a), key(b)
		if f.has("f") {
			ka, kb = strings.ToLower(ka), strings.ToLower(kb)
		}
		order := cmp.Compare(ka, kb)
		if numeric {
			order = cmp.Or(cmp.Compare(leadingNumber(ka), leadingNumber(kb)), order)
		}
		if f.has("r") || strings.Contains(f.value("k", ""), "r") {
			order = -order
		}
		return order
	})
	if f.has("u") {
		lines = slices.Compact(lines)
	}
	for _, line := range lines {
		c.printf("%s\n", line)
	}
	return code
}

func leadingNumber(s string) float64 {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && strings.ContainsRune("+-.0123456789", rune(s[end])) {
		end++
	}
	v, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0
	}
	if end < len(s) {
		if i := strings.IndexByte("KMGT", s[end]); i >= 0 {
			v *= float64(int64(1) << (10 * (i + 1)))
		}
	}
	return v
}

func uniq(c *command) int {
	f, ok := c.parse("cdu", nil)
	if !ok {
		return codeUsage
	}
	lines, code := c.allLines(f.rest)
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n] == lines[0] {
			n++
		}
		if (!f.has("d") || n > 1) && (!f.has("u") || n == 1) {
			if f.has("c") {
				c.printf("%7d ", n)
			}
			c.printf("%s\n", lines[0])
		}
		lines = lines[n:]
	}
	return code
}
