package shell

import (
	"io"
	"slices"
	"strings"
)

// tr is tr [-cds] SET1 [SET2] with ranges, escapes and the usual classes.
func tr(c *command) int {
	f, ok := c.parse("+cds", nil)
	if !ok || len(f.rest) == 0 {
		return c.fail(codeUsage, "want [-cds] SET1 [SET2]")
	}
	from := trSet(f.rest[0])
	var to []rune
	if len(f.rest) > 1 {
		to = trSet(f.rest[1])
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	var b strings.Builder
	last := rune(-1)
	for _, r := range string(data) {
		i := slices.Index(from, r)
		in := (i >= 0) != f.has("c")
		switch {
		case in && f.has("d"):
			continue
		case in && len(to) > 0:
			r = to[min(max(i, 0), len(to)-1)]
			if f.has("c") {
				r = to[len(to)-1]
			}
		}
		if in && f.has("s") && r == last {
			continue
		}
		last = -1
		if in {
			last = r
		}
		b.WriteRune(r)
	}
	c.printf("%s", b.String())
	return 0
}

func trSet(s string) []rune {
	for class, set := range map[string]string{
		"[:space:]": " \t\n\r\v\f", "[:digit:]": "0-9", "[:lower:]": "a-z", "[:upper:]": "A-Z", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9",
	} {
		s = strings.ReplaceAll(s, class, set)
	}
	s = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\\`, `\`).Replace(s)
	var out []rune
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i+2] >= runes[i] {
			for r := runes[i]; r <= runes[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, runes[i])
	}
	return out
}
