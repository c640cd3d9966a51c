package awk

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxFields bounds what an assignment to a field or to NF can make.
const maxFields = 1 << 20

// recordState is $0 and its fields. Each is made from the other when it is asked for.
type recordState struct {
	text   string
	fields []value
	// joined says that text is that of the fields, divided that the fields are those of the text.
	joined, divided bool
}

func (m *machine) setRecord(line string) {
	m.record.text, m.record.joined, m.record.divided = line, true, false
}

// recordText is $0.
func (m *machine) recordText() string {
	m.join()
	return m.record.text
}

// join makes $0 from the fields.
func (m *machine) join() {
	if m.record.joined {
		return
	}
	parts := make([]string, len(m.record.fields))
	for i, v := range m.record.fields {
		parts[i] = m.text(v)
	}
	m.record.text, m.record.joined = strings.Join(parts, m.ofs), true
}

// divide makes the fields from $0.
func (m *machine) divide() {
	if m.record.divided {
		return
	}
	m.record.divided = true
	m.record.fields = m.record.fields[:0]
	for _, s := range m.separate(m.record.text, m.fs, m.rs == "") {
		m.record.fields = append(m.record.fields, fromOutside(s))
	}
}

// field is the field with a number; 0 is the whole record, and one behind the last is empty.
func (m *machine) field(n int) value {
	if n == 0 {
		return fromOutside(m.recordText())
	}
	m.divide()
	if n > len(m.record.fields) {
		return value{}
	}
	return m.record.fields[n-1]
}

func (m *machine) setField(n int, v value) {
	if n == 0 {
		m.setRecord(m.text(v))
		return
	}
	m.resize(max(n, m.fieldCount()))
	m.record.fields[n-1] = v
}

func (m *machine) fieldCount() int {
	m.divide()
	return len(m.record.fields)
}

// setFieldCount is an assignment to NF.
func (m *machine) setFieldCount(v value) {
	m.divide()
	m.resize(m.fieldNumber(v))
}

// resize makes the record one of n fields, to be joined anew.
func (m *machine) resize(n int) {
	for len(m.record.fields) < n {
		m.record.fields = append(m.record.fields, value{})
	}
	m.record.fields = m.record.fields[:n]
	m.record.joined = false
}

// fieldNumber is a number as that of a field.
func (m *machine) fieldNumber(v value) int {
	n := v.float()
	if n >= 0 && n <= maxFields {
		return int(n)
	}
	m.fail("there is no field %s", m.text(number(n)))
	return 0
}

// fieldExpr is $ with an expression.
type fieldExpr struct{ index expr }

func (e *fieldExpr) eval(m *machine) value { return m.field(m.fieldNumber(e.index.eval(m))) }

func (e *fieldExpr) place(m *machine) place {
	return place{kind: inField, index: m.fieldNumber(e.index.eval(m))}
}

// separate cuts s into fields. In a paragraph a newline separates too, whatever fs is.
func (m *machine) separate(s, fs string, paragraph bool) []string {
	single := utf8.RuneCountInString(fs) == 1
	switch {
	case s == "":
		return nil
	case fs == " ":
		return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
	case fs == "":
		return strings.Split(s, "")
	case single && !paragraph:
		return strings.Split(s, fs)
	}
	pattern := fs
	if single {
		pattern = regexp.QuoteMeta(fs)
	}
	if paragraph {
		pattern = "(" + pattern + ")|\n"
	}
	return separateBy(m.regex(pattern), s)
}

// separateBy cuts s where re matches something.
func separateBy(re *regexp.Regexp, s string) []string {
	var parts []string
	start := 0
	for _, at := range re.FindAllStringIndex(s, -1) {
		if at[0] == at[1] {
			continue
		}
		parts = append(parts, s[start:at[0]])
		start = at[1]
	}
	return append(parts, s[start:])
}
