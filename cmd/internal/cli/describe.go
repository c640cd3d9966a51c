package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/problems"
)

// description is what describe answers: text for people and the same as data.
type description struct {
	fields render.Fields
	data   any
}

// described is one kind of thing that can be described.
type described struct {
	name, example string
	names         func(a *app) []string
	describe      func(a *app, name string) (description, error)
	flags         func(a *app, cmd *cobra.Command)
}

func newDescribe(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe", Short: "Describe one problem, app, agent, run and more",
		Long:    "Describe one thing in full. The answer to a problem is shown with --reveal only.",
		GroupID: groupCatalog,
		Example: "  gameday describe problem hotel-wrong-target-port\n  gameday describe app hotel -o yaml\n  gameday describe run 20260102T030405Z-smoke-1a2b3c",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, d := range describable() {
		sub := &cobra.Command{
			Use: d.name + " NAME", Short: "Describe one " + d.name, Long: "Describe one " + d.name + " in full.", Example: d.example,
			Args: nameArgs(1, 1), ValidArgsFunction: completeNames(func() []string { return d.names(a) }),
			RunE: func(_ *cobra.Command, args []string) error {
				out, err := d.describe(a, args[0])
				if err != nil {
					return err
				}
				if a.output == render.Text {
					return out.fields.Print(a.Stdout)
				}
				return render.Object(a.Stdout, a.output, out.data)
			},
		}
		if d.flags != nil {
			d.flags(a, sub)
		}
		a.outputFlag(sub, render.ObjectFormats(), render.Text)
		cmd.AddCommand(sub)
	}
	return cmd
}

func describable() []described {
	fromCatalog := func(pick func(*catalogs) []string) func(*app) []string {
		return func(a *app) []string {
			c, _ := a.catalogs() // What is right can be completed, whatever else is wrong.
			return pick(c)
		}
	}
	none := func(*app) []string { return nil }
	return []described{
		{
			name: "problem", example: "  gameday describe problem hotel-wrong-target-port\n  gameday describe problem hotel-wrong-target-port --reveal",
			names: fromCatalog(func(c *catalogs) []string { return c.problems.IDs() }), describe: describeProblem,
			flags: func(a *app, cmd *cobra.Command) {
				cmd.Flags().BoolVar(&a.reveal, "reveal", false, "show the answer, too")
				cmd.Flags().Int64Var(&a.seed, "seed", 0, "seed from which the parameters that are shown are drawn")
			},
		},
		{name: "app", example: "  gameday describe app hotel", names: fromCatalog(func(c *catalogs) []string { return c.apps.IDs() }), describe: describeApp},
		{name: "agent", example: "  gameday describe agent playbook", names: func(*app) []string { return agents.Names() }, describe: describeAgent},
		{name: "scenario", example: "  gameday describe scenario smoke", names: fromCatalog(func(c *catalogs) []string { return c.scenarios.IDs() }), describe: describeScenario},
		{name: "fault", example: "  gameday describe fault scaled-to-zero", names: fromCatalog(func(c *catalogs) []string { return c.faults.IDs() }), describe: describeFault},
		{name: "run", example: "  gameday describe run results/runs/20260102T030405Z-smoke-1a2b3c", names: none, describe: describeRun, flags: outFlag},
		{name: "trial", example: "  gameday describe trial hotel-wrong-target-port/playbook/1 --run 20260102T030405Z-smoke-1a2b3c", names: none, describe: describeTrial, flags: runFlag},
		{name: "cluster", example: "  gameday describe cluster demo", names: none, describe: describeCluster},
	}
}

func describeProblem(a *app, name string) (description, error) {
	c, err := a.catalogs()
	if err != nil {
		return description{}, err
	}
	p, err := c.problems.Get(name)
	if err != nil {
		return description{}, err
	}
	draw := p.Draw(a.seed)
	prompt, err := draw.Fill(p.Prompt)
	if err != nil {
		return description{}, err
	}
	var drawn []string
	for _, parameter := range p.ParameterNames() {
		if values := p.Parameters[parameter]; a.reveal || parameter == "namespace" {
			drawn = append(drawn, fmt.Sprintf("%s: %s (of %s)", parameter, draw[parameter], orOne(values, draw[parameter])))
		}
	}
	d := description{fields: render.Fields{
		{Name: "ID", Value: p.ID}, {Name: "Title", Value: p.Title}, {Name: "Version", Value: strconv.Itoa(p.Version)},
		{Name: "Author", Value: p.Author}, {Name: "Difficulty", Value: p.Difficulty}, {Name: "Tags", Value: join(p.Tags)},
		{Name: "App", Value: p.App}, {Name: "Load", Value: p.Load.Profile}, {Name: "Tasks", Value: join(p.Tasks)},
		{Name: "Budget", Value: budget(p.Budget)}, {Name: "Path", Value: p.Prefix},
		{Name: "Digest", Value: p.Digest}, {Name: "Prompt", Lines: strings.Split(strings.TrimSpace(prompt), "\n")},
	}}
	data := map[string]any{"schemaVersion": render.SchemaVersion, "problem": withoutParameters(p, a.reveal)}
	if a.reveal {
		raw, err := c.truth(p)
		if err != nil {
			return d, err
		}
		resolved, err := raw.Resolve(draw)
		if err != nil {
			return d, err
		}
		text, err := yaml.Marshal(resolved)
		if err != nil {
			return d, fmt.Errorf("print truth: %w", err)
		}
		d.fields = append(d.fields, render.Field{Name: "Drawn", Lines: drawn}, render.Field{Name: "Truth", Lines: strings.Split(strings.TrimSpace(string(text)), "\n")})
		var plain any // Through YAML, so that durations have their units.
		if err := yaml.Unmarshal(text, &plain); err != nil {
			return d, fmt.Errorf("print truth: %w", err)
		}
		data["truth"], data["draw"] = plain, draw
	}
	d.data = data
	return d, nil
}

func budget(b problems.Budget) string {
	return fmt.Sprintf("%d steps, %s%s", b.Steps, b.Time, reported(b.Tokens, b.CostUSD))
}

// reported continues a list with the figures that agents report themselves, where they are not 0.
func reported(tokens int64, costUSD float64) string {
	out := ""
	if tokens > 0 {
		out += fmt.Sprintf(", %d tokens", tokens)
	}
	if costUSD > 0 {
		out += fmt.Sprintf(", %g USD", costUSD)
	}
	return out
}

// hidden hides the parameters of every problem of a list.
func hidden(all []problems.Entry) []problems.Entry {
	for i := range all {
		all[i] = withoutParameters(all[i], false)
	}
	return all
}

// withoutParameters hides the sets that targets are drawn from: they are half of the answer.
func withoutParameters(p problems.Entry, reveal bool) problems.Entry {
	if !reveal {
		p.Parameters, p.Variants = nil, nil
	}
	return p
}

func orOne(values []string, value string) string {
	if len(values) == 0 {
		return value
	}
	return strings.Join(values, ", ")
}

func describeApp(a *app, name string) (description, error) {
	c, err := a.catalogs()
	if err != nil {
		return description{}, err
	}
	app, err := c.apps.Get(name)
	if err != nil {
		return description{}, err
	}
	var parts, objectives, invariants []string
	for _, p := range app.Components {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s (%s, %s) %s", p.Name, p.Kind, p.Role, arrow(p.Calls))))
	}
	for _, o := range app.SLOs {
		objectives = append(objectives, o.Name)
	}
	for _, i := range app.Invariants {
		invariants = append(invariants, i.Name)
	}
	return description{data: app, fields: render.Fields{
		{Name: "ID", Value: app.ID}, {Name: "Title", Value: app.Title}, {Name: "Description", Value: app.Description},
		{Name: "Namespace", Value: app.Namespace}, {Name: "Profiles", Value: join(app.ProfileNames())}, {Name: "Path", Value: app.Path},
		{Name: "Digest", Value: app.Digest}, {Name: "Components", Lines: parts}, {Name: "Objectives", Lines: objectives},
		{Name: "Invariants", Lines: invariants},
	}}, nil
}

func arrow(calls []string) string {
	if len(calls) == 0 {
		return ""
	}
	return "-> " + strings.Join(calls, ", ")
}

func describeAgent(a *app, name string) (description, error) {
	if _, err := a.catalogs(); err != nil {
		return description{}, err
	}
	i, err := agents.Lookup(name)
	if err != nil {
		return description{}, unknown("agent", name, agents.Names())
	}
	return description{data: i, fields: render.Fields{
		{Name: "Name", Value: i.Name}, {Name: "Description", Value: i.Description}, {Name: "Origin", Value: i.Origin},
		{Name: "Needs answers", Value: strconv.FormatBool(i.NeedsScript)},
	}}, nil
}

func describeScenario(a *app, name string) (description, error) {
	c, err := a.catalogs()
	if err != nil {
		return description{}, err
	}
	s, err := c.scenarios.Get(name)
	if err != nil {
		return description{}, err
	}
	return description{data: s, fields: render.Fields{
		{Name: "ID", Value: s.ID}, {Name: "Title", Value: s.Title}, {Name: "Description", Value: s.Description},
		{Name: "Attempts", Value: strconv.Itoa(s.Attempts)}, {Name: "Seeds", Value: strings.Trim(fmt.Sprint(s.Seeds), "[]")},
		{Name: "Twins", Value: strconv.FormatBool(s.Twins)}, {Name: "Cluster", Value: s.Cluster.Provider}, {Name: "Agents", Value: join(s.Agents)},
		{Name: "Path", Value: s.File}, {Name: "Problems", Lines: s.Problems},
	}}, nil
}

func describeFault(a *app, name string) (description, error) {
	c, err := a.catalogs()
	if err != nil {
		return description{}, err
	}
	if !slices.Contains(c.faults.IDs(), name) {
		return description{}, unknown("fault", name, c.faults.IDs())
	}
	f, err := c.faults.Get(name)
	if err != nil {
		return description{}, err
	}
	var params []string
	for _, p := range f.ParamNames() {
		spec := f.Params[p]
		note := ""
		if spec.Required {
			note = " (required)"
		} else if spec.Default != "" {
			note = fmt.Sprintf(" (default %s)", spec.Default)
		}
		params = append(params, fmt.Sprintf("%s: %s%s", p, spec.Description, note))
	}
	return description{data: f, fields: render.Fields{
		{Name: "ID", Value: f.ID}, {Name: "Title", Value: f.Title}, {Name: "Type", Value: f.Type}, {Name: "Description", Value: f.Description},
		{Name: "Path", Value: f.Path}, {Name: "Digest", Value: f.Digest}, {Name: "Requires", Value: join(f.Requires)}, {Name: "Params", Lines: params},
	}}, nil
}
