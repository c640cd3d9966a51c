package awk

import (
	"math"
	"strings"
	"unicode/utf8"
)

// builtin is a function of the language.
type builtin struct {
	// atLeast and atMost bound the number of arguments.
	atLeast, atMost int
	// bare functions may be called without parentheses.
	bare bool
	run  func(m *machine, args []expr) value
	// array is the argument that is an array, target the one that is assigned to; 0, which neither can be, is none.
	array, target int
}

var builtins = map[string]builtin{
	"atan2":   {atLeast: 2, atMost: 2, run: atan2},
	"close":   {atLeast: 1, atMost: 1, run: closeStream},
	"cos":     {atLeast: 1, atMost: 1, run: numberFunction(math.Cos)},
	"exp":     {atLeast: 1, atMost: 1, run: numberFunction(math.Exp)},
	"fflush":  {atMost: 1, run: flushStreams},
	"gsub":    {atLeast: 2, atMost: 3, run: gsub, target: 2},
	"index":   {atLeast: 2, atMost: 2, run: index},
	"int":     {atLeast: 1, atMost: 1, run: numberFunction(math.Trunc)},
	"length":  {atMost: 1, bare: true, run: length},
	"log":     {atLeast: 1, atMost: 1, run: numberFunction(math.Log)},
	"match":   {atLeast: 2, atMost: 2, run: match},
	"rand":    {run: random},
	"sin":     {atLeast: 1, atMost: 1, run: numberFunction(math.Sin)},
	"split":   {atLeast: 2, atMost: 3, run: split, array: 1},
	"sprintf": {atLeast: 1, atMost: math.MaxInt, run: sprintf},
	"sqrt":    {atLeast: 1, atMost: 1, run: numberFunction(math.Sqrt)},
	"srand":   {atMost: 1, run: srand},
	"sub":     {atLeast: 2, atMost: 3, run: sub, target: 2},
	"substr":  {atLeast: 2, atMost: 3, run: substr},
	"system":  {atLeast: 1, atMost: 1, run: system},
	"tolower": {atLeast: 1, atMost: 1, run: textFunction(strings.ToLower)},
	"toupper": {atLeast: 1, atMost: 1, run: textFunction(strings.ToUpper)},
}

// builtinCall is the call of a function of the language.
type builtinCall struct {
	run  func(m *machine, args []expr) value
	args []expr
}

func (e *builtinCall) eval(m *machine) value { return e.run(m, e.args) }

func numberFunction(f func(float64) float64) func(*machine, []expr) value {
	return func(m *machine, args []expr) value { return number(f(args[0].eval(m).float())) }
}

func textFunction(f func(string) string) func(*machine, []expr) value {
	return func(m *machine, args []expr) value { return text(f(m.text(args[0].eval(m)))) }
}

func atan2(m *machine, args []expr) value {
	y := args[0].eval(m).float()
	return number(math.Atan2(y, args[1].eval(m).float()))
}

func random(m *machine, _ []expr) value { return number(m.random.Float64()) }

// srand returns the seed before it.
func srand(m *machine, args []expr) value {
	before := m.seed
	if len(args) > 0 {
		m.reseed(args[0].eval(m).float())
	} else {
		m.reseed(float64(m.cfg.Now().Unix()))
	}
	return number(before)
}

// length is that of a string, or how many elements an array has.
func length(m *machine, args []expr) value {
	if len(args) == 0 {
		return number(float64(utf8.RuneCountInString(m.recordText())))
	}
	if v, ok := args[0].(*variable); ok && !v.special() {
		if a := m.cell(v).array; a != nil {
			return number(float64(len(a)))
		}
	}
	return number(float64(utf8.RuneCountInString(m.text(args[0].eval(m)))))
}

func index(m *machine, args []expr) value {
	s := m.text(args[0].eval(m))
	wanted := m.text(args[1].eval(m))
	i := strings.Index(s, wanted)
	if i < 0 || wanted == "" {
		return number(0)
	}
	return number(float64(utf8.RuneCountInString(s[:i]) + 1))
}

// substr takes what is between two positions, as far as the string goes; both are rounded.
func substr(m *machine, args []expr) value {
	s := m.text(args[0].eval(m))
	from := math.RoundToEven(args[1].eval(m).float())
	size := utf8.RuneCountInString(s)
	to := float64(size + 1)
	if len(args) > 2 {
		to = min(to, from+math.RoundToEven(args[2].eval(m).float()))
	}
	from = max(from, 1)
	if math.IsNaN(from) || math.IsNaN(to) || from >= to {
		return text("")
	}
	first, last := int(from)-1, int(to)-1
	if size == len(s) {
		return text(s[first:last])
	}
	return text(string([]rune(s)[first:last]))
}

func match(m *machine, args []expr) value {
	s := m.text(args[0].eval(m))
	start, size := 0, -1
	if at := m.pattern(args[1]).FindStringIndex(s); at != nil {
		start = utf8.RuneCountInString(s[:at[0]]) + 1
		size = utf8.RuneCountInString(s[at[0]:at[1]])
	}
	m.setSpecial(slotRSTART, number(float64(start)))
	m.setSpecial(slotRLENGTH, number(float64(size)))
	return number(float64(start))
}

// split makes an array of the parts of a string.
func split(m *machine, args []expr) value {
	s := m.text(args[0].eval(m))
	var parts []string
	switch {
	case len(args) < 3:
		parts = m.separate(s, m.fs, m.rs == "")
	case s == "":
	default:
		if lit, ok := args[2].(*regexLiteral); ok {
			parts = separateBy(lit.re, s)
			break
		}
		parts = m.separate(s, m.text(args[2].eval(m)), false)
	}
	name, ok := args[1].(*variable)
	if !ok {
		m.fail("split: the second argument is no array")
	}
	a := m.array(name)
	clear(a)
	for i, part := range parts {
		a[m.text(number(float64(i+1)))] = fromOutside(part)
	}
	return number(float64(len(parts)))
}

func sprintf(m *machine, args []expr) value {
	values := make([]value, len(args))
	for i, e := range args {
		values[i] = e.eval(m)
	}
	return text(m.sprintf(m.text(values[0]), values[1:]))
}

func sub(m *machine, args []expr) value { return m.substitute(args, 1) }

func gsub(m *machine, args []expr) value { return m.substitute(args, -1) }

// substitute replaces up to limit matches, all of them when it is negative, and returns how many it has replaced.
func (m *machine) substitute(args []expr, limit int) value {
	re := m.pattern(args[0])
	replacement := m.text(args[1].eval(m))
	var in target = &fieldExpr{index: &literal{number(0)}}
	if len(args) > 2 {
		in = args[2].(target) // The parser has made sure.
	}
	p := in.place(m)
	s := m.text(p.load(m))
	matches := re.FindAllStringIndex(s, limit)
	if len(matches) == 0 {
		return number(0)
	}
	var b strings.Builder
	end := 0
	for _, at := range matches {
		b.WriteString(s[end:at[0]])
		replace(&b, replacement, s[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(s[end:])
	p.store(m, text(b.String()))
	return number(float64(len(matches)))
}

// replace writes a replacement: & is what has matched, \& an ampersand, \\ a backslash.
func replace(b *strings.Builder, replacement, matched string) {
	for i := 0; i < len(replacement); i++ {
		ch := replacement[i]
		switch {
		case ch == '&':
			b.WriteString(matched)
		case ch == '\\' && i+1 < len(replacement) && (replacement[i+1] == '&' || replacement[i+1] == '\\'):
			i++
			b.WriteByte(replacement[i])
		default:
			b.WriteByte(ch)
		}
	}
}

// system runs a command and returns its exit code.
func system(m *machine, args []expr) value {
	line := m.text(args[0].eval(m))
	run := m.command(line)
	m.flush()
	return number(float64(run(line, strings.NewReader(""), m.cfg.Stdout)))
}

// closeStream closes what print and getline know by a name. It returns 0, an exit code, or -1 when there is no such thing.
func closeStream(m *machine, args []expr) value {
	name := m.text(args[0].eval(m))
	code := m.closeSink(name)
	for _, key := range []string{readsFile + name, readsCommand + name} {
		if m.closeSource(key) {
			code = max(code, 0)
		}
	}
	return number(float64(code))
}

// flushStreams flushes one stream, or all of them. It returns -1 when there is none of the name.
func flushStreams(m *machine, args []expr) value {
	if len(args) == 0 {
		m.flush()
		return number(0)
	}
	name := m.text(args[0].eval(m))
	s, ok := m.sinks[name]
	switch {
	case ok:
		m.check(s.w.Flush())
	case name == "" || name == "/dev/stdout" || name == "/dev/stderr":
		m.flush()
	default:
		return number(-1)
	}
	return number(0)
}
