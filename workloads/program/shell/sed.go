package shell

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gameday-bench/gameday/workloads/program"
)

// sedCommand is one command of a sed script: an optional address, and s, p, d or q.
type sedCommand struct {
	from, to    func(n int, line string, last bool) bool
	active      bool
	negate      bool
	verb        byte
	re          *regexp.Regexp
	replacement string
	global      bool
	print       bool
	nth         int
}

// sed is a stream editor for the everyday scripts: s///, p, d, q with line, $, /regexp/ addresses and ranges; -n -E -i -e.
func sed(c *command) int {
	f, ok := c.parse("nEre:i", map[string]string{"quiet": "n", "silent": "n", "expression": "e", "in-place": "i", "regexp-extended": "E"})
	if !ok {
		return codeUsage
	}
	scripts, names := f.values["e"], f.rest
	if len(scripts) == 0 {
		if len(names) == 0 {
			return c.fail(1, "no script")
		}
		scripts, names = names[:1], names[1:]
	}
	commands, err := parseSed(strings.Join(scripts, "\n"), f.has("E") || f.has("r"))
	if err != nil {
		return c.fail(1, "%v", err)
	}
	return c.eachInput(names, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		for i := range commands {
			commands[i].active = false
		}
		out := runSed(commands, string(data), f.has("n"))
		if f.has("i") && name != "-" {
			return program.WriteFile(c.sys.Files, c.abs(name), []byte(out), 0o644)
		}
		c.printf("%s", out)
		return nil
	})
}

func runSed(commands []sedCommand, data string, quiet bool) string {
	var b strings.Builder
	lines := slices.Collect(strings.Lines(data))
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\n")
		deleted, quit := false, false
		for k := range commands {
			cmd := &commands[k]
			if !cmd.selects(i+1, line, i == len(lines)-1) {
				continue
			}
			switch cmd.verb {
			case 'd':
				deleted = true
			case 'p':
				b.WriteString(line + "\n")
			case 'q':
				quit = true
			case 's':
				replaced, hit := cmd.substitute(line)
				line = replaced
				if hit && cmd.print {
					b.WriteString(line + "\n")
				}
			}
			if deleted {
				break
			}
		}
		if !deleted && !quiet {
			b.WriteString(line + "\n")
		}
		if quit {
			break
		}
	}
	return b.String()
}

func (s *sedCommand) selects(n int, line string, last bool) bool {
	hit := true
	switch {
	case s.from == nil:
	case s.to == nil:
		hit = s.from(n, line, last)
	case s.active:
		s.active = !s.to(n, line, last)
	default:
		hit = s.from(n, line, last)
		s.active = hit && !s.to(n, "", last)
	}
	return hit != s.negate
}

func (s *sedCommand) substitute(line string) (string, bool) {
	var b strings.Builder
	end, count := 0, 0
	for _, m := range s.re.FindAllStringSubmatchIndex(line, -1) {
		count++
		if s.nth > 0 && count != s.nth {
			continue
		}
		b.WriteString(line[end:m[0]])
		b.Write(s.re.ExpandString(nil, s.replacement, line, m))
		end = m[1]
		if !s.global {
			break
		}
	}
	b.WriteString(line[end:])
	return b.String(), count > 0 && (s.nth == 0 || count >= s.nth)
}

func parseSed(script string, extended bool) ([]sedCommand, error) {
	var out []sedCommand
	rest := script
	for {
		rest = strings.TrimLeft(rest, " \t\n;")
		if rest == "" {
			return out, nil
		}
		var cmd sedCommand
		var err error
		if cmd.from, rest, err = sedAddress(rest, extended); err != nil {
			return nil, err
		}
		if strings.HasPrefix(rest, ",") {
			if cmd.to, rest, err = sedAddress(rest[1:], extended); err != nil {
				return nil, err
			}
			if cmd.to == nil {
				return nil, errors.New("unexpected `,'")
			}
		}
		rest = strings.TrimLeft(rest, " ")
		if strings.HasPrefix(rest, "!") {
			cmd.negate, rest = true, rest[1:]
		}
		if rest == "" {
			return nil, errors.New("missing command")
		}
		cmd.verb, rest = rest[0], rest[1:]
		switch cmd.verb {
		case 'd', 'p', 'q':
		case 's':
			if rest, err = cmd.parseSubstitute(rest, extended); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("unknown command: `%c'", cmd.verb)
		}
		out = append(out, cmd)
	}
}

func sedAddress(s string, extended bool) (func(int, string, bool) bool, string, error) {
	switch {
	case s == "":
		return nil, s, nil
	case s[0] == '$':
		return func(_ int, _ string, last bool) bool { return last }, s[1:], nil
	case s[0] >= '0' && s[0] <= '9':
		end := 0
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		want, err := strconv.Atoi(s[:end])
		return func(n int, _ string, _ bool) bool { return n >= want && (n == want || want == 0) }, s[end:], err
	case s[0] == '/':
		expr, rest, ok := sedPart(s[1:], '/')
		if !ok {
			return nil, s, errors.New("unterminated address regex")
		}
		re, err := sedRegexp(expr, extended, "")
		if err != nil {
			return nil, s, err
		}
		return func(_ int, line string, _ bool) bool { return re.MatchString(line) }, rest, nil
	}
	return nil, s, nil
}

// sedPart reads up to the delimiter; an escaped one stands for itself.
func sedPart(s string, delimiter rune) (part, rest string, ok bool) {
	var b strings.Builder
	escaped := false
	for i, r := range s {
		switch {
		case escaped:
			if r != delimiter {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == delimiter:
			return b.String(), s[i+utf8.RuneLen(r):], true
		default:
			b.WriteRune(r)
		}
	}
	return "", s, false
}

func sedRegexp(expr string, extended bool, flags string) (*regexp.Regexp, error) {
	if !extended {
		expr = basicRegexp(expr)
	}
	return regexp.Compile(flags + expr)
}

func (s *sedCommand) parseSubstitute(text string, extended bool) (string, error) {
	delimiter, size := utf8.DecodeRuneInString(text)
	expr, rest, ok := sedPart(text[size:], delimiter)
	if !ok {
		return "", errors.New("unterminated `s' command")
	}
	replacement, rest, ok := sedPart(rest, delimiter)
	if !ok {
		return "", errors.New("unterminated `s' command")
	}
	flags := ""
	for rest != "" && strings.ContainsRune("gpiI0123456789", rune(rest[0])) {
		switch rest[0] {
		case 'g':
			s.global = true
		case 'p':
			s.print = true
		case 'i', 'I':
			flags = "(?i)"
		default:
			s.nth = s.nth*10 + int(rest[0]-'0')
		}
		rest = rest[1:]
	}
	s.replacement = sedReplacement(replacement)
	var err error
	s.re, err = sedRegexp(expr, extended, flags)
	return rest, err
}

// sedReplacement turns & and \1 into Go's ${0} and ${1}.
func sedReplacement(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			switch {
			case s[i] >= '0' && s[i] <= '9':
				fmt.Fprintf(&b, "${%c}", s[i])
			case s[i] == 'n':
				b.WriteByte('\n')
			case s[i] == 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(s[i])
			}
		case s[i] == '&':
			b.WriteString("${0}")
		case s[i] == '$':
			b.WriteString("$$")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
