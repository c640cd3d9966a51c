package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	Name   string `json:"name"`
	Target string `json:"target"`
	// Measured is the figure with its unit; Note says what else there is to know, for example the single runs.
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
	Note     string `json:"note,omitempty"`
}

// table writes rows as Markdown, ready for docs/benchmarks.md, each at once: a bench takes hours, and may be interrupted.
// The file, where there is one, holds the same rows as JSON at every moment.
type table struct {
	out  io.Writer
	file string
	rows []row
}

func newTable(out io.Writer, file string) *table { return &table{out: out, file: file} }

func (t *table) add(rows ...row) error {
	if len(t.rows) == 0 && len(rows) > 0 {
		fmt.Fprintf(t.out, "%s, %d cores, %s, Linux %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), kernel())
		fmt.Fprint(t.out, "| what | target | measured | met | note |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, r := range rows {
		met := "yes"
		switch {
		case !r.Met:
			met = "**no**"
		case r.Target == "-":
			met = "-"
		}
		fmt.Fprintf(t.out, "| %s | %s | %s | %s | %s |\n", cell(r.Name), cell(r.Target), cell(r.Measured), met, cell(r.Note))
	}
	t.rows = append(t.rows, rows...)
	if t.file == "" {
		return nil
	}
	data, err := json.MarshalIndent(t.rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	if err := os.WriteFile(t.file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// cell keeps a text from ending the cell that it is in.
func cell(text string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(strings.TrimSpace(text))
}

func kernel() string {
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}
