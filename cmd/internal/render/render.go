// Package render prints what commands answer: the same data as a table, as names, as JSON, JSON lines or YAML.
package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// SchemaVersion is the version of the envelope that lists are printed in.
const SchemaVersion = 1

// The formats.
const (
	Table = "table"
	Wide  = "wide"
	Name  = "name"
	JSON  = "json"
	YAML  = "yaml"
	JSONL = "jsonl"
	Text  = "text"
)

// ListFormats are what lists can be printed in.
func ListFormats() []string { return []string{Table, Wide, Name, JSON, YAML, JSONL} }

// ObjectFormats are what one object can be printed in.
func ObjectFormats() []string { return []string{Text, JSON, YAML} }

// Known reports whether any command has the format.
func Known(format string) bool {
	return slices.Contains(ListFormats(), format) || slices.Contains(ObjectFormats(), format)
}

// CheckFormat returns an error of party usage where format is not one of allowed.
func CheckFormat(format string, allowed []string) error {
	if slices.Contains(allowed, format) {
		return nil
	}
	hint := "allowed formats are: " + strings.Join(allowed, ", ")
	if near := nearest.Match(format, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return errs.Hint(errs.Newf(errs.Usage, "unknown output format %q", format), "%s", hint)
}

// Column is one column of a list.
type Column struct {
	Name string
	// Wide columns are printed with -o wide only.
	Wide bool
}

// List is what a get command answers.
type List struct {
	Columns []Column
	// Rows hold one text per column. The first column is the name.
	Rows [][]string
	// Items are the same rows as data, in the same order.
	Items any
	// Note is said on standard error when there are no rows.
	Note string
}

type envelope struct {
	SchemaVersion int `json:"schemaVersion"`
	Items         any `json:"items"`
}

// Options say how to print.
type Options struct {
	Format    string
	NoHeaders bool
	// Terminal aligns columns and cuts them to Width; otherwise they are separated by tabs and whole.
	Terminal bool
	Width    int
}

// Print writes the list to out.
func (l List) Print(out io.Writer, o Options) error {
	switch o.Format {
	case JSON, YAML:
		return Object(out, o.Format, envelope{SchemaVersion, orEmpty(l.Items)})
	case JSONL:
		return lines(out, l.Items)
	case Name:
		for _, row := range l.Rows {
			if _, err := fmt.Fprintln(out, row[0]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(l.Rows) == 0 {
		return nil
	}
	return l.table(out, o)
}

func (l List) table(out io.Writer, o Options) error {
	var keep []int
	var header []string
	for i, c := range l.Columns {
		if !c.Wide || o.Format == Wide {
			keep = append(keep, i)
			header = append(header, strings.ToUpper(c.Name))
		}
	}
	var buffer bytes.Buffer
	var w io.Writer = &buffer
	tabs := tabwriter.NewWriter(&buffer, 0, 8, 3, ' ', 0)
	if o.Terminal {
		w = tabs
	}
	if !o.NoHeaders {
		fmt.Fprintln(w, strings.Join(header, "\t"))
	}
	for _, row := range l.Rows {
		cells := make([]string, len(keep))
		for n, i := range keep {
			cells[n] = OneLine(row[i])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	if !o.Terminal {
		_, err := out.Write(buffer.Bytes())
		return err
	}
	for line := range strings.Lines(buffer.String()) {
		if _, err := fmt.Fprintln(out, cut(strings.TrimRight(line, " \n"), o.Width, o.Format == Wide)); err != nil {
			return err
		}
	}
	return nil
}

func cut(line string, width int, whole bool) string {
	runes := []rune(line)
	if whole || width <= 0 || len(runes) <= width {
		return line
	}
	return string(runes[:max(0, width-1)]) + "…"
}

// OneLine replaces control characters and line breaks, so that what others wrote cannot move the cursor or forge rows.
func OneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

// Object writes v as JSON or YAML, whole or not at all. YAML has the field names of JSON.
func Object(out io.Writer, format string, v any) error {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if format == YAML {
		var err error
		if buffer, err = toYAML(buffer.Bytes()); err != nil {
			return err
		}
	}
	_, err := out.Write(buffer.Bytes())
	return err
}

// toYAML goes through the YAML parser, which reads JSON and keeps the order of fields.
func toYAML(data []byte) (bytes.Buffer, error) {
	var out bytes.Buffer
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return out, fmt.Errorf("encode output: %w", err)
	}
	block(&node)
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return out, fmt.Errorf("encode output: %w", err)
	}
	return out, encoder.Close()
}

// block removes the JSON look: quotes and braces, except where something is empty.
func block(node *yaml.Node) {
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode {
		node.Style = 0
	}
	for _, child := range node.Content {
		block(child)
	}
}

func lines(out io.Writer, items any) error {
	data, err := json.Marshal(orEmpty(items))
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	for _, item := range all {
		if _, err := fmt.Fprintf(out, "%s\n", item); err != nil {
			return err
		}
	}
	return nil
}

func orEmpty(items any) any {
	data, err := json.Marshal(items)
	if err == nil && string(data) == "null" {
		return []any{}
	}
	return items
}
