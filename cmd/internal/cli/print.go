package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/results"
)

// printList prints a list in the command's format; with no rows the note goes to standard error.
func (a *app) printList(l render.List, noHeaders bool) error {
	if len(l.Rows) == 0 && l.Note != "" {
		fmt.Fprintln(a.notes(), l.Note)
	}
	return l.Print(a.Stdout, render.Options{Format: a.output, NoHeaders: noHeaders, Terminal: a.StdoutTerminal, Width: a.Width})
}

// printSummary prints the result of a run: one row per agent, then the run directory as the last line.
func (a *app) printSummary(s *results.Summary) error {
	switch a.output {
	case render.JSON, render.YAML:
		return render.Object(a.Stdout, a.output, s)
	case render.Name:
		_, err := fmt.Fprintln(a.Stdout, s.Dir)
		return err
	}
	l := render.List{Columns: []render.Column{
		{Name: "agent"}, {Name: "score"}, {Name: "detection"}, {Name: "twins"}, {Name: "balanced"}, {Name: "localization"},
		{Name: "diagnosis"}, {Name: "mitigation"}, {Name: "scored"},
	}}
	for _, agent := range s.Agents {
		l.Rows = append(l.Rows, []string{
			agent.Agent, score(agent.Score), agent.Cell("detection").String(), agent.Twins.String(), score(agent.BalancedAccuracy),
			agent.Cell("localization").String(), agent.Cell("diagnosis").String(), agent.Cell("mitigation").String(),
			fmt.Sprintf("%d/%d", agent.Scored, agent.Planned),
		})
	}
	if err := a.printList(l, false); err != nil {
		return err
	}
	for _, status := range results.Statuses() {
		if n := s.Statuses[status]; n > 0 && status != results.Graded {
			fmt.Fprintf(a.Stdout, "%d x %s\n", n, status)
		}
	}
	for _, l := range s.LeftOut {
		fmt.Fprintf(a.Stdout, "left out: problem %s\n", l.Problem)
	}
	_, err := fmt.Fprintln(a.Stdout, s.Dir)
	return err
}

func score(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'f', 2, 64)
}

func join(words []string) string { return strings.Join(words, ",") }
