package results

import (
	"fmt"
	"strings"
)

// Markdown is summary.md: the same figures as summary.json, for people.
func (s *Summary) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", s.RunID)
	fmt.Fprintf(&b, "Scenario %s, status %s. %d of %d trials scored (coverage %.0f %%), %d retried.\n",
		s.Scenario, s.Status, s.Scored, s.Planned, 100*s.Coverage, s.Retries)
	if s.Error != nil {
		fmt.Fprintf(&b, "\nError (%s): %s\n", s.Error.Party, s.Error.Message)
	}
	if lines := statusLines(s.Statuses); len(lines) > 0 {
		b.WriteString("\n" + strings.Join(lines, ""))
	}
	if len(s.LeftOut) > 0 {
		b.WriteString("\nLeft out, for the clusters cannot have the faults:\n\n")
		for _, l := range s.LeftOut {
			fmt.Fprintf(&b, "- %s: %s\n", l.Problem, strings.Join(strings.Fields(l.Reason), " "))
		}
	}
	b.WriteString("\n## Agents\n\n| agent | score | detection | on twins | balanced accuracy | localization | diagnosis | mitigation | scored |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, a := range s.Agents {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %d/%d |\n", a.Agent, figure(a.Score), a.Cell("detection"), a.Twins,
			figure(a.BalancedAccuracy), a.Cell("localization"), a.Cell("diagnosis"), a.Cell("mitigation"), a.Scored, a.Planned)
	}
	b.WriteString("\n## Problems\n\n| problem | agent | detection | localization | diagnosis | mitigation | status |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | --- |\n")
	for _, a := range s.Agents {
		for _, p := range a.Problems {
			name := p.Problem
			if p.Twin {
				name += " (twin)"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, a.Agent, p.Cell("detection"), p.Cell("localization"),
				p.Cell("diagnosis"), p.Cell("mitigation"), FormatStatuses(p.Statuses))
		}
	}
	if s.Overhead.N > 0 {
		fmt.Fprintf(&b, "\nOverhead of one trial without the agent: median %.1f s, p95 %.1f s (n=%d). Agent: median %.1f s, p95 %.1f s.\n",
			s.Overhead.Median, s.Overhead.P95, s.Overhead.N, s.Agent.Median, s.Agent.P95)
	}
	return b.String()
}

func statusLines(statuses map[Status]int) []string {
	var out []string
	for _, status := range Statuses() {
		if n := statuses[status]; n > 0 && status != Graded {
			out = append(out, fmt.Sprintf("- %d x %s\n", n, status))
		}
	}
	return out
}

// FormatStatuses is "3 graded, 1 infra_error", in the order of Statuses.
func FormatStatuses(statuses map[Status]int) string {
	var out []string
	for _, status := range Statuses() {
		if n := statuses[status]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, status))
		}
	}
	return strings.Join(out, ", ")
}

func figure(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *v)
}

// String is the mean, or "-" where there is none.
func (c *Cell) String() string {
	if c == nil {
		return "-"
	}
	return figure(c.Mean)
}

// Cell returns the task's cell, or nil.
func (a AgentSummary) Cell(task string) *Cell { return cellOf(a.Tasks, task) }

// Cell returns the task's cell, or nil.
func (p ProblemSummary) Cell(task string) *Cell { return cellOf(p.Tasks, task) }

func cellOf(cells []Cell, task string) *Cell {
	for i := range cells {
		if cells[i].Task == task {
			return &cells[i]
		}
	}
	return nil
}
