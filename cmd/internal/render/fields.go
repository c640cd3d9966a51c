package render

import (
	"fmt"
	"io"
	"strings"
)

// Field is one line of a description. A field without a value is left out; one with Lines is a block.
type Field struct {
	Name  string
	Value string
	Lines []string
}

// Fields are a description in text.
type Fields []Field

// Print writes names and values in two columns.
func (f Fields) Print(out io.Writer) error {
	width := 0
	for _, field := range f {
		if field.Value != "" {
			width = max(width, len(field.Name))
		}
	}
	var b strings.Builder
	for _, field := range f {
		switch {
		case len(field.Lines) > 0:
			fmt.Fprintf(&b, "%s:\n", field.Name)
			for _, line := range field.Lines {
				fmt.Fprintf(&b, "  %s\n", strings.TrimRight(line, " \n"))
			}
		case field.Value != "":
			fmt.Fprintf(&b, "%-*s  %s\n", width+1, field.Name+":", OneLine(field.Value))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
