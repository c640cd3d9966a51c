package yamlx

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct { //nolint:errname // A finding about a file in the first place, which lists of them show.
	// File is the name that the file was read under.
	File string `json:"file"`
	// Line and Column start at 1; 0 means that the place is not known.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the field, for example spec.ports[0].targetPort; "" is the whole file.
	Path string `json:"path,omitempty"`
	// Message says what is wrong and what would be right.
	Message string `json:"message"`
}

// String is "file:line:column: path: message" without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Column > 0 {
		fmt.Fprintf(&b, ":%d", p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// ErrorList is every problem of one or more files, sorted by place. It is never an empty error: use Err.
type ErrorList []Problem //nolint:errname // Named after scanner.ErrorList of the standard library.

// Error is one line per problem.
func (l ErrorList) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the list as an error, sorted and without duplicates; nil when it is empty.
func (l ErrorList) Err() error {
	if len(l) == 0 {
		return nil
	}
	sorted := slices.Clone(l)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(sorted)
}

// Add appends err: the problems of an ErrorList one by one, any other error as one problem of file.
func (l *ErrorList) Add(file string, err error) {
	switch e := err.(type) { //nolint:errorlint // A wrapped list is one problem, with the words around it.
	case nil:
	case ErrorList:
		*l = append(*l, e...)
	case Problem:
		*l = append(*l, e)
	default:
		*l = append(*l, Problem{File: file, Message: err.Error()})
	}
}

// Error makes one Problem an error of its own.
func (p Problem) Error() string { return p.String() }
