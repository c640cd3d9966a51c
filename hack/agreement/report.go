package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/results"
)

// columns are the tasks in the order in which agents are asked.
func columns() []string { return []string{detection, "localization", "diagnosis", "mitigation"} }

// markdown is the report.
func (c *comparison) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Agreement

The same problems, agents and seeds on two kinds of clusters: %s and %s. %d of %d verdicts are the same. This page is written by
`+"`make agreement`"+`; why verdicts differ is in `+"`hack/agreement/causes.yaml`"+`.

`, c.names[0], c.names[1], c.verdicts-len(c.differences), c.verdicts)
	c.writeRuns(&b)
	c.writeAgents(&b)
	c.writeVerdicts(&b)
	c.writeDifferences(&b)
	c.writeAlone(&b)
	return b.String()
}

func (c *comparison) writeRuns(b *strings.Builder) {
	fmt.Fprintf(b, "| | %s | %s |\n| --- | --- | --- |\n", c.names[0], c.names[1])
	line := func(what string, show func(results.Run) string) {
		fmt.Fprintf(b, "| %s | %s | %s |\n", what, cell(show(c.sides[0].Run)), cell(show(c.sides[1].Run)))
	}
	line("run", func(r results.Run) string { return r.ID })
	line("played", func(r results.Run) string { return r.StartedAt.UTC().Format(time.DateOnly) })
	line("gameday", func(r results.Run) string { return strings.TrimSpace(r.Tool.Version + " " + short(r.Tool.Commit)) })
	line("machine", func(r results.Run) string {
		return fmt.Sprintf("%d cores, %d GiB, Linux %s", r.Host.CPUs, r.Host.MemoryBytes>>30, release(r.Host.Kernel))
	})
	fmt.Fprintf(b, "| trials with a score | %s | %s |\n", c.scored(0), c.scored(1))
}

// release is a kernel's version without what its maker adds.
func release(kernel string) string {
	version, _, _ := strings.Cut(kernel, "-")
	return version
}

// short is the start of a commit.
func short(commit string) string { return commit[:min(7, len(commit))] }

// scored is "30 of 30" trials of the shared problems, with those that were tried again.
func (c *comparison) scored(side int) string {
	s := c.summary(side)
	text := fmt.Sprintf("%d of %d", s.Scored, s.Finished)
	if s.Retries > 0 {
		text += fmt.Sprintf(", %d tried again", s.Retries)
	}
	return text
}

// summary adds up one side, over the shared problems only.
func (c *comparison) summary(side int) *results.Summary {
	run, trials := c.sides[side].Run, []results.TrialRecord(nil)
	for _, r := range c.sides[side].Trials {
		if slices.Contains(c.shared, r.Problem) {
			trials = append(trials, r)
		}
	}
	run.Problems, run.Planned = c.shared, 0
	return results.Summarize(run, trials)
}

func (c *comparison) writeAgents(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Scores\n\nOver the problems that both played.\n\n| agent | %s | %s |\n| --- | ---: | ---: |\n", c.names[0], c.names[1])
	first, second := c.summary(0), c.summary(1)
	for i, a := range first.Agents { // Sorted, and the same on both sides: see sameQuestion.
		fmt.Fprintf(b, "| %s | %s | %s |\n", cell(a.Agent), figure(a.Score), figure(second.Agents[i].Score))
	}
}

func figure(v *float64) string {
	if v == nil {
		return absent
	}
	return fmt.Sprintf("%.2f", *v)
}

func (c *comparison) writeVerdicts(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Verdicts\n\nEach cell is %s, then %s. A twin, the problem without its fault, has no task but detection.\n\n", c.names[0], c.names[1])
	b.WriteString("| problem | agent |")
	for _, task := range columns() {
		fmt.Fprintf(b, " %s |", task)
	}
	b.WriteString("\n| --- | --- | " + strings.Repeat("--- | ", len(columns())-1) + "--- |\n")
	for _, key := range c.keys() {
		fmt.Fprintf(b, "| %s | %s |", cell(c.trial(key)), cell(key.Agent))
		tasks := c.tasks(key)
		for _, task := range columns() {
			if !slices.Contains(tasks, task) {
				b.WriteString(" |")
				continue
			}
			fmt.Fprintf(b, " %s |", c.pair(key, task))
		}
		b.WriteString("\n")
	}
}

// pair is one cell: two verdicts, and where they differ the number of the difference.
func (c *comparison) pair(key results.Key, task string) string {
	shown := c.shown(key, task)
	text := cell(shown[0]) + " / " + cell(shown[1])
	at := slices.IndexFunc(c.differences, func(d difference) bool { return d.Key == key && d.task == task })
	if at < 0 {
		return text
	}
	return fmt.Sprintf("**%s** (%d)", text, at+1)
}

func (c *comparison) writeDifferences(b *strings.Builder) {
	b.WriteString("\n## Differences\n\n")
	if len(c.differences) == 0 {
		b.WriteString("There are none.\n")
		return
	}
	for i, d := range c.differences {
		fmt.Fprintf(b, "%d. %s. %s\n", i+1, c.sentence(d), because(d.cause))
	}
}

func (c *comparison) writeAlone(b *strings.Builder) {
	if len(c.alone) == 0 {
		return
	}
	b.WriteString("\n## Played on one of the two only\n\n| problem | not on | why |\n| --- | --- | --- |\n")
	for _, p := range c.alone {
		fmt.Fprintf(b, "| %s | %s | %s |\n", cell(p.problem), cell(p.missing), cell(because(p.cause)))
	}
}

func because(cause string) string {
	if cause == "" {
		return "**Not explained yet.**"
	}
	return strings.Join(strings.Fields(cause), " ")
}

// cell keeps a text from ending the cell that it is in.
func cell(text string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(strings.TrimSpace(text))
}
