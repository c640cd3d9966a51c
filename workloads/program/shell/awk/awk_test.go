package awk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/shell/awk"
)

// files are files in memory.
type files map[string]string

func (f files) open(name string) (io.ReadCloser, error) {
	content, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

// writer is a file that is being written.
type writer struct {
	bytes.Buffer
	files files
	name  string
}

func (w *writer) Close() error {
	w.files[w.name] += w.String()
	return nil
}

func (f files) create(name string, atEnd bool) (io.WriteCloser, error) {
	if strings.Contains(name, "/") {
		return nil, fs.ErrPermission
	}
	if !atEnd {
		f[name] = ""
	}
	return &writer{files: f, name: name}, nil
}

type result struct {
	out, err string
	code     int
	failure  error
}

func run(t *testing.T, source, stdin string, edit func(*awk.Config)) result {
	t.Helper()
	program, err := awk.Parse(source)
	require.NoError(t, err)
	var out, stderr bytes.Buffer
	f := files{"one": "a 1\nb 2\n", "two": "c 3\n"}
	cfg := awk.Config{
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &stderr, Open: f.open, Create: f.create,
		Environ: map[string]string{"HOME": "/root"}, Now: func() time.Time { return time.Unix(1700000000, 0) },
	}
	if edit != nil {
		edit(&cfg)
	}
	code, err := program.Run(t.Context(), cfg)
	return result{out: out.String(), err: stderr.String(), code: code, failure: err}
}

const people = "ann 30 berlin\nbob 25 paris\ncid 41 rome\n"

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, source, stdin, want string }{
		{"column", `{print $1}`, people, "ann\nbob\ncid\n"},
		{"last column and count", `{print NR ": " $NF, NF}`, people, "1: berlin 3\n2: paris 3\n3: rome 3\n"},
		{"pattern alone", `/o/`, people, "bob 25 paris\ncid 41 rome\n"},
		{"negated pattern", `!/o/`, people, "ann 30 berlin\n"},
		{"comparison", `$2 > 28 { print $1 }`, people, "ann\ncid\n"},
		{"range", `/bob/,/cid/ { print $1 }`, people, "bob\ncid\n"},
		{"range in one record", `/bob/,/bob/`, people, "bob 25 paris\n"},
		{"several conditions", `NR==1 || $3 ~ /^r/ && $2 != 0`, people, "ann 30 berlin\ncid 41 rome\n"},
		{"sum", `{ s += $2 } END { print s, s/NR; printf "%.2f\n", s/NR }`, people, "96 32\n32.00\n"},
		{"histogram", `{ n[length($3)]++ } END { for (k in n) print k, n[k] }`, people, "4 1\n5 1\n6 1\n"},
		{"keys in order", `BEGIN { a["b"]; a[10]; a[9]; a["a"]; for (k in a) printf "%s ", k; print "" }`, "", "9 10 a b \n"},
		{"seen before", `!seen[$1]++`, "x\ny\nx\n", "x\ny\n"},
		{"concatenation binds less than plus", `BEGIN { print 1 " " 2+3; print -12 " " -24 }`, "", "1 5\n-12-24\n"},
		{"powers", `BEGIN { print 2^3^2, -2^2, 2**3, 2^-1 }`, "", "512 -4 8 0.5\n"},
		{"arithmetic", `BEGIN { print 7%3, -7%3, 7/2, 1e3, .5+.5, 010+0, "3x"*2 }`, "", "1 -1 3.5 1000 1 10 6\n"},
		{"numbers as text", `BEGIN { print 0.1+0.2, 1e6, 1000000*1000000, 1/3, 100000000000000000 }`, "", "0.3 1000000 1000000000000 0.333333 100000000000000000\n"},
		{"increments", `BEGIN { i = 5; print i++, ++i, i--, --i, i }`, "", "5 7 7 5 5\n"},
		{"assignments are values", `BEGIN { a = b = 3; a += b *= 2; print a, b; c ^= 2; print c }`, "", "9 6\n0\n"},
		{"conditional", `{ print ($2 >= 30 ? "old" : "young") }`, people, "old\nyoung\nold\n"},
		{"string comparison", `BEGIN { print ("10" < "9"), (10 < 9), ("a" < "b") }`, "", "1 0 1\n"},
		{"input compares as number", `$1 < $2 { print "less" }`, "9 10\n", "less\n"},
		{"unset is zero and empty", `BEGIN { print x + 0, "[" x "]", (x == 0), (x == "") }`, "", "0 [] 1 1\n"},
		{"assigning a field", `{ $2 = "X"; print; print NF }`, "a b c\n", "a X c\n3\n"},
		{"a field behind the last", `{ $5 = "e"; print; print NF }`, "a b\n", "a b   e\n5\n"},
		{"NF cuts", `{ NF = 2; print }`, "a b c\n", "a b\n"},
		{"OFS joins", `BEGIN { OFS = "-" } { $1 = $1; print }`, "a b c\n", "a-b-c\n"},
		{"record is split anew", `{ $0 = "x y"; print $2, NF }`, "a\n", "y 2\n"},
		{"FS of one character", `BEGIN { FS = ":" } { print $2 "|" $3 }`, "a::c\n", "|c\n"},
		{"FS that would be an operator", `BEGIN { FS = "|" } { print $2 }`, "a|b|c\n", "b\n"},
		{"FS as a regular expression", `BEGIN { FS = "[,;] *" } { print $2, $3 }`, "a, b;c\n", "b c\n"},
		{"FS empty", `BEGIN { FS = "" } { print $2, NF }`, "äöü\n", "ö 3\n"},
		{"FS holds from the next record on", `{ FS = ":"; print $1 }`, "a:b c\nd:e\n", "a:b\nd\n"},
		{"paragraphs", `BEGIN { RS = "" } { print NR ": " $1 "," $NF; n = NF } END { print n }`, "\n\na b\nc\n\n\nd\n", "1: a,c\n2: d,d\n1\n"},
		{"paragraphs and FS", `BEGIN { RS = ""; FS = ":" } { print $2 }`, "a:b\nc:d\n", "b\n"},
		{"RS of one character", `BEGIN { RS = ";" } { print NR, $0 }`, "a;b;c", "1 a\n2 b\n3 c\n"},
		{"RS as a regular expression", `BEGIN { RS = "[0-9]+" } { printf "%s,", $0 }`, "a1b22c", "a,b,c,"},
		{"no newline at the end", `{ print NR, $0 }`, "a\nb", "1 a\n2 b\n"},
		{"next", `NR == 2 { next } { print $1 } END { print NR }`, people, "ann\ncid\n3\n"},
		{"loops", `BEGIN { for (i = 0; i < 5; i++) { if (i == 1) continue; if (i == 4) break; printf "%d", i }; while (j < 3) j++; do j++; while (j < 10); print "", j }`, "", "023 10\n"},
		{"do runs once", `BEGIN { do { n++ } while (0); print n }`, "", "1\n"},
		{"else on its own line", "BEGIN { if (0) print 1\nelse if (0) print 2\nelse print 3 }", "", "3\n"},
		{"else behind a semicolon", `BEGIN { if (0) print 1; else print 2 }`, "", "2\n"},
		{"delete", `BEGIN { a[1]; a[2]; delete a[1]; print length(a), (1 in a), (2 in a); delete a; print length(a) }`, "", "1 0 1\n0\n"},
		{"more subscripts", `BEGIN { a[1,2] = 3; for (k in a) { split(k, p, SUBSEP); print p[1], p[2], a[k] }; if ((1,2) in a) print "in" }`, "", "1 2 3\nin\n"},
		{"functions", "function f(n) { return n < 2 ? 1 : n * f(n-1) }\nBEGIN { print f(10) }", "", "3628800\n"},
		{"functions change arrays", `function fill(a, n) { while (n-- > 0) a[n] = n } BEGIN { fill(x, 3); print length(x), x[2] }`, "", "3 2\n"},
		{"functions pass arrays on", `function outer(a) { inner(a) } function inner(b) { b["k"] = "v" } BEGIN { outer(z); print z["k"] }`, "", "v\n"},
		{"functions have variables of their own", `function f(a, i) { i = 7; a = 8 } BEGIN { i = 1; a = 2; f(a); print i, a }`, "", "1 2\n"},
		{"exit from a function runs END", `function f() { exit 3 } BEGIN { f(); print "no" } END { print "end" }`, "", "end\n"},
		{"comments and continued lines", "# first\nBEGIN { x = 1 + \\\n 2 # more\n print x }", "", "3\n"},
		{"newlines behind commas and operators", "BEGIN { if (1 &&\n 1) print 1,\n 2 }", "", "1 2\n"},
		{"printing a parenthesised list", `BEGIN { print(1, 2); print (1)(2); print (1, 2) in a; print (3 > 2) }`, "", "1 2\n12\n0\n1\n"},
		{"environment and arguments", `BEGIN { print ENVIRON["HOME"], ARGC, ARGV[0] }`, "", "/root 1 awk\n"},
		{"division is no regular expression", `BEGIN { a = 8; b = 2; print a / b / 2 }`, "", "2\n"},
		{"a regular expression that begins with =", `/=1/ { print "yes" }`, "a=1\n", "yes\n"},
		{"a slash in a bracket", `/[/]x/ { print "yes" }`, "/x\n", "yes\n"},
		{"negation of a group", `!($1 in a) { a[$1]; print }`, "x\nx\n", "x\n"},
		{"braces around a quoted program", `{print $1}`, "13 f\n", "13\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, tc.source, tc.stdin, nil)
			require.NoError(t, r.failure)
			require.Equal(t, tc.want, r.out)
			require.Empty(t, r.err)
		})
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ source, want string }{
		{`length("äbc") length`, "30"},
		{`index("foobar", "bar") index("x", "y") index("äöü", "ü")`, "403"},
		{`substr("hello", 2, 3) "|" substr("hello", 0, 2) "|" substr("hello", 4) "|" substr("hello", -1, 3) "|" substr("x", 5)`, "ell|h|lo|h|"},
		{`substr("äöüß", 2, 2)`, "öü"},
		{`toupper("aBc") tolower("AbC")`, "ABCabc"},
		{`match("xxabbb", /ab+/) " " RSTART " " RLENGTH`, "3 3 4"},
		{`match("x", /y/) " " RSTART " " RLENGTH`, "0 0 -1"},
		{`match("abcd", /a|ab|abc/) RLENGTH`, "13"},
		{`split("a:b:c", p, ":") p[1] p[3]`, "3ac"},
		{`split("  a b ", p) p[1] p[2]`, "2ab"},
		{`split("a1b22c", p, /[0-9]+/) p[3]`, "3c"},
		{`split("", p) length(p)`, "00"},
		{`split("abc", p, "") p[2]`, "3b"},
		{`split("10 9", p) (p[1] > p[2])`, "21"},
		{`int(3.9) int(-3.9)`, "3-3"},
		{`sqrt(16) exp(0) log(1) sin(0) cos(0) atan2(0, 1)`, "410010"},
		{`srand(7) srand() srand()`, "071700000000"},
		{`sprintf("%5d|%-5d|%05d|%+d|%x|%X|%o|%c|%c|%%", 42, 42, 42, 42, 255, 255, 8, 65, "hello")`, "   42|42   |00042|+42|ff|FF|10|A|h|%"},
		{`sprintf("%5s|%-5s|%.2s|%05s", "ab", "ab", "abc", "ab")`, "   ab|ab   |ab|   ab"},
		{`sprintf("%.2f %e %g %g %g %G", 3.14159, 1234.5, 0.0001, 1000000, 100000, 1e-10)`, "3.14 1.234500e+03 0.0001 1e+06 100000 1E-10"},
		{`sprintf("%*d|%-*d|%.*f", 5, 42, 4, 7, 1, 2.25)`, "   42|7   |2.2"},
		{`sprintf("%d %i %u", "12abc", -3.7, 9)`, "12 -3 9"},
		{`sprintf("%d", 1e20)`, "100000000000000000000"},
		{`sprintf("%s %d", "inf"+0, -log(0))`, "0 inf"},
		{`sprintf("100%") sprintf("%5k", 1)`, "100%%5k"},
	} {
		t.Run(tc.source, func(t *testing.T) {
			t.Parallel()
			r := run(t, `BEGIN { printf "%s", `+tc.source+` }`, "", nil)
			require.NoError(t, r.failure)
			require.Equal(t, tc.want, r.out)
		})
	}
}

func TestSubstitution(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, source, want string }{
		{"first", `{ sub(/o/, "0"); print }`, "f0o boo\n"},
		{"all", `{ n = gsub(/o/, "0"); print n, $0 }`, "4 f00 b00\n"},
		{"matched", `{ gsub(/o+/, "<&>"); print }`, "f<oo> b<oo>\n"},
		{"ampersand", `{ gsub(/o+/, "\\&"); print }`, "f& b&\n"},
		{"backslash and matched", `{ sub(/o+/, "\\\\&"); print }`, `f\oo boo` + "\n"},
		{"in a field", `{ gsub(/o/, "0", $2); print; print $2 }`, "foo b00\nb00\n"},
		{"in a variable", `{ x = $0; gsub("o", "", x); print x, NF }`, "f b 2\n"},
		{"empty matches", `{ s = "abc"; gsub(/x*/, "-", s); print s }`, "-a-b-c-\n"},
		{"at the ends", `{ gsub(/^f|o$/, "_"); print }`, "_oo bo_\n"},
		{"the record is split anew", `{ gsub(/ /, ":"); print NF }`, "1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, tc.source, "foo boo\n", nil)
			require.NoError(t, r.failure)
			require.Equal(t, tc.want, r.out)
		})
	}
}

func TestRegularExpressions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ere, s string
		want   bool
	}{
		{`^[[:digit:]]+$`, "123", true},
		{`^[[:digit:]]+$`, "12a", false},
		{`[]x]`, "]", true},
		{`[^]x]`, "]x", false},
		{`[a\]b]`, "]", true},
		{`a{2,3}`, "aab", true},
		{`a{2}`, "aba", false},
		{`^\.$`, ".", true},
		{`^\.$`, "x", false},
		{`a.c`, "a\nc", true},
		{`^*b`, "*b", true},
		{`(+|x)`, "+", true},
		{`(?i)`, "?i", true},
		{`\d`, "5", false},
		{`\d`, "d", true},
		{`\<in\>`, "be in it", true},
		{`\<in\>`, "inside", false},
		{`\yin\y`, "in", true},
		{`^\w+\s$`, "word ", true},
		{`^a+?$`, "", true},
		{`\/`, "/", true},
		{`\101`, "A", true},
		{`x|`, "y", true},
	} {
		t.Run(tc.ere+" "+tc.s, func(t *testing.T) {
			t.Parallel()
			r := run(t, `BEGIN { print (s ~ re) }`, "", func(c *awk.Config) {
				c.Assign = []string{"s=" + strings.ReplaceAll(tc.s, "\n", `\n`), "re=" + strings.ReplaceAll(tc.ere, `\`, `\\`)}
			})
			require.NoError(t, r.failure)
			require.Equal(t, fmt.Sprintln(map[bool]int{true: 1}[tc.want]), r.out)
		})
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	r := run(t, `{ print FILENAME, FNR, NR, x, $1 }`, "in\n", func(c *awk.Config) {
		c.Operands = []string{"one", "x=5", "nowhere", "-", "two"}
	})
	require.NoError(t, r.failure)
	require.Equal(t, "one 1 1  a\none 2 2  b\n- 1 3 5 in\ntwo 1 4 5 c\n", r.out)
	require.Equal(t, "awk: can't open file nowhere: file does not exist\n", r.err)
	require.Equal(t, 2, r.code)

	r = run(t, `FNR == 1 { print FILENAME; nextfile } { print "no" }`, "", func(c *awk.Config) { c.Operands = []string{"one", "two"} })
	require.Equal(t, "one\ntwo\n", r.out)

	r = run(t, `BEGIN { print x y }`, "never read", func(c *awk.Config) { c.Assign = []string{`x=a\tb`, "unused=1"} })
	require.Equal(t, "a\tb\n", r.out)

	r = run(t, `BEGIN { ARGV[1] = ""; ARGV[2] = "two"; ARGC = 3 } { print }`, "", func(c *awk.Config) { c.Operands = []string{"one"} })
	require.Equal(t, "c 3\n", r.out)
}

func TestGetline(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, source, want string }{
		{"the next record", `NR == 1 { getline; print $1, NR }`, "bob 2\n"},
		{"into a variable", `NR == 1 { getline x; print $1, x, NR }`, "ann bob 25 paris 2\n"},
		{"from a file", `BEGIN { while ((getline line < "one") > 0) print line; close("one"); getline < "one"; print $2, NR }`, "a 1\nb 2\n1 0\n"},
		{"no such file", `BEGIN { print (getline x < "nowhere") }`, "-1\n"},
		{"the end", `END { print getline, $1 }`, "0 cid\n"},
		{"from a command", `BEGIN { "date" | getline now; print now; while ("date" | getline > 0) n++; print n }`, "<date>\n1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, tc.source, people, func(c *awk.Config) {
				c.Command = func(line string, _ io.Reader, out io.Writer) int {
					fmt.Fprintf(out, "<%s>\n2\n", line)
					return 0
				}
			})
			require.NoError(t, r.failure)
			require.Equal(t, tc.want, r.out)
		})
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	written := files{"log": "old\n"}
	r := run(t, `{ print $1 > $3; print $2 >> "log" } END { close("rome"); print "again" > "rome"; print "e" > "/dev/stderr"; print "o" > "/dev/stdout" }`,
		people, func(c *awk.Config) { c.Create = written.create })
	require.NoError(t, r.failure)
	require.Equal(t, files{"log": "old\n30\n25\n41\n", "berlin": "ann\n", "paris": "bob\n", "rome": "again\n"}, written)
	require.Equal(t, "o\n", r.out)
	require.Equal(t, "e\n", r.err)

	r = run(t, `BEGIN { print "x" > "/etc/passwd" }`, "", nil)
	require.ErrorIs(t, r.failure, fs.ErrPermission)
	require.EqualError(t, r.failure, "line 1: can't redirect to /etc/passwd: permission denied")
}

// TestCommands: what is printed to a command reaches it when the pipe is closed, behind what was printed before.
func TestCommands(t *testing.T) {
	t.Parallel()
	commands := func(c *awk.Config) {
		c.Command = func(line string, in io.Reader, out io.Writer) int {
			data, _ := io.ReadAll(in)
			fmt.Fprintf(out, "%s<%s>", line, data)
			return len(data)
		}
	}
	r := run(t, `BEGIN { print "b" | "sort"; print "first"; print "a" | "sort"; print close("sort"), close("sort"); print "c" | "wc" }`, "", commands)
	require.NoError(t, r.failure)
	require.Equal(t, "first\nsort<b\na\n>4 -1\nwc<c\n>", r.out)
	r = run(t, `BEGIN { printf "x"; code = system("exit 1"); print code }`, "in", commands)
	require.Equal(t, "xexit 1<>0\n", r.out)
	for _, source := range []string{`BEGIN { system("id") }`, `BEGIN { print | "id" }`, `BEGIN { "id" | getline }`} {
		r = run(t, source, "", nil)
		require.EqualError(t, r.failure, `line 1: "id": no command can be run here`, source)
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`BEGIN { exit 3 }`: 3, `{ exit 1 } END { exit }`: 1, `BEGIN { exit 1 } END { exit 4 }`: 4, `BEGIN { exit 256+7 }`: 7, `{ }`: 0,
	} {
		r := run(t, source, people, nil)
		require.NoError(t, r.failure)
		require.Equal(t, want, r.code, source)
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{ print `:                            "line 1: unexpected end of program",
		"{\n print $1 }}":                     "line 2: unexpected '}'",
		`BEGIN { "a }`:                        "line 1: unterminated string",
		`/a`:                                  "line 1: unterminated regular expression",
		`/a(/`:                                "line 1: bad regular expression /a(/",
		`BEGIN { f(1) }`:                      "line 1: there is no function f",
		`function f(a) { } BEGIN { f(1, 2) }`: "line 1: too many arguments for the function f",
		`function f() { } function f() { }`:   "line 1: function f is defined twice",
		`function f() { } BEGIN { f = 1 }`:    "line 1: f is both a function and a variable",
		`function f(a, a) { }`:                "line 1: a cannot be a parameter here",
		`BEGIN { next }`:                      "line 1: 'next' in BEGIN or END",
		`{ break }`:                           "line 1: 'break' outside of a loop",
		`{ return 1 }`:                        "line 1: return outside of a function",
		`{ NF[1] = 2 }`:                       "line 1: NF is not an array",
		`{ print (1, 2) 3 }`:                  "line 1: unexpected '3': want 'in'",
		`{ sub(/a/, "b", "c") }`:              "line 1: sub: argument 3 cannot be assigned to",
		`{ split($0, 5) }`:                    "line 1: split: argument 2 is not an array",
		`{ substr("x") }`:                     "line 1: substr: 1 arguments",
		`{ 5 = 6 }`:                           "line 1: unexpected '='",
		`BEGIN { @ }`:                         "line 1: unexpected character '@'",
		`BEGIN { printf }`:                    "line 1: printf: no format",
		`{ a = ` + strings.Repeat("(", 600) + "1": "line 1: nested more than 500 deep",
		`BEGIN { "id" | cat }`:                    "line 1: unexpected 'cat'",
	} {
		_, err := awk.Parse(source)
		var syntax *awk.SyntaxError
		require.ErrorAs(t, err, &syntax, source)
		require.ErrorContains(t, err, want, source)
	}
}

func TestRuntimeErrors(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"BEGIN {\n x = 0\n print 1 / x }":                  "line 3: division by zero in /",
		`BEGIN { print 1 % 0 }`:                            "line 1: division by zero in %",
		`BEGIN { print $(-1) }`:                            "line 1: there is no field -1",
		`BEGIN { $1000000000 = 1 }`:                        "line 1: there is no field 1000000000",
		`BEGIN { NF = 1e9 }`:                               "line 1: there is no field 1000000000",
		`BEGIN { a[1]; a = 2 }`:                            "line 1: a is an array",
		`BEGIN { a = 1; a[1] = 2 }`:                        "line 1: a is not an array",
		`function f(x) { x[1] = 1 } BEGIN { y = 1; f(y) }`: "line 1: x is not an array",
		`function f() { f() } BEGIN { f() }`:               "functions call each other more than 10000 deep",
		`function f() { next } BEGIN { f() }`:              "next is called in BEGIN or END",
		`BEGIN { print "x" ~ "(" }`:                        "line 1: bad regular expression /(/",
		`BEGIN { printf "%d %d\n", 1 }`:                    "line 1: not enough arguments for the format",
		`BEGIN { printf "%99999999d", 1 }`:                 "is too large",
		`BEGIN { printf "%*d", 99999999, 1 }`:              "is too large",
		`BEGIN { print "x" > "" }`:                         "the name of the file to print to is empty",
	} {
		r := run(t, source, "", nil)
		var runtime *awk.RuntimeError
		require.ErrorAs(t, r.failure, &runtime, source)
		require.ErrorContains(t, r.failure, want, source)
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestEnds(t *testing.T) {
	t.Parallel()
	r := run(t, `BEGIN { while (1) print "y" }`, "", func(c *awk.Config) { c.Stdout = brokenPipe{} })
	require.ErrorIs(t, r.failure, errBroken)

	program, err := awk.Parse(`BEGIN { for (;;) n++ }`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = program.Run(ctx, awk.Config{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	require.ErrorIs(t, err, context.Canceled)
}

// TestConversation: what is printed is seen before the next record is waited for.
func TestConversation(t *testing.T) {
	t.Parallel()
	program, err := awk.Parse(`{ print "got", $0 }`)
	require.NoError(t, err)
	in, ask := io.Pipe()
	answer, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := program.Run(t.Context(), awk.Config{Stdin: in, Stdout: out, Stderr: io.Discard})
		done <- err
	}()
	for _, word := range []string{"one", "two"} {
		_, err := fmt.Fprintln(ask, word)
		require.NoError(t, err)
		buffer := make([]byte, len("got one\n"))
		_, err = io.ReadFull(answer, buffer)
		require.NoError(t, err)
		require.Equal(t, "got "+word+"\n", string(buffer))
	}
	require.NoError(t, ask.Close())
	require.NoError(t, <-done)
}

// TestProgramIsReusable: a program keeps nothing of a run.
func TestProgramIsReusable(t *testing.T) {
	t.Parallel()
	program, err := awk.Parse(`/a/,/b/ { n++ } END { print n }`)
	require.NoError(t, err)
	for range 2 {
		var out bytes.Buffer
		_, err := program.Run(t.Context(), awk.Config{Stdin: strings.NewReader("a\n"), Stdout: &out, Stderr: io.Discard})
		require.NoError(t, err)
		require.Equal(t, "1\n", out.String())
	}
}
