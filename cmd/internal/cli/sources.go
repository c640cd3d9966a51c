package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

type labels = map[string][]string

func sources() []source {
	return []source{
		{
			name: "problems", short: "List the problems", example: "  gameday get problems\n  gameday get problems -l app=hotel -o wide",
			selectable: []string{"app", "difficulty", "tag", "task"}, list: listProblems,
		},
		{name: "apps", short: "List the applications", example: "  gameday get apps\n  gameday get apps -o json", list: listApps},
		{name: "agents", short: "List the agents", example: "  gameday get agents\n  gameday get agents -o name", list: listAgents},
		{name: "scenarios", short: "List the scenarios", example: "  gameday get scenarios\n  gameday get scenarios -o yaml", list: listScenarios},
		{
			name: "faults", short: "List the faults", example: "  gameday get faults\n  gameday get faults -l type=chaosmesh",
			selectable: []string{"type"}, list: listFaults,
		},
		{
			name: "runs", short: "List the runs", example: "  gameday get runs\n  gameday get runs -l status=finished -o json",
			selectable: []string{"status", "scenario", "agent"}, list: listRuns, flags: outFlag,
		},
		{
			name: "trials", short: "List the trials of a run (the last one by default)", args: 1, argsName: "[RUN]",
			example:    "  gameday get trials\n  gameday get trials results/runs/20260102T030405Z-smoke-1a2b3c -o wide\n  gameday get trials -l status=infra_error",
			selectable: []string{"status", "problem", "agent", "twin"}, list: listTrials, flags: outFlag,
		},
		{
			name: "clusters", short: "List the clusters", example: "  gameday get clusters\n  gameday get clusters --cluster kind\n  gameday get clusters -o json",
			list: listClusters, flags: func(a *app, cmd *cobra.Command) {
				kindFilter(cmd, &a.only)
				a.isOnly = func() string { return onlyKind(cmd, a.only) }
			},
		},
	}
}

func columns(names ...string) []render.Column {
	var out []render.Column
	for _, name := range names {
		wide := name[0] == '+'
		if wide {
			name = name[1:]
		}
		out = append(out, render.Column{Name: name, Wide: wide})
	}
	return out
}

func listProblems(a *app, _ []string) (render.List, []labels, error) {
	c, err := a.catalogs()
	l := render.List{Columns: columns("id", "version", "app", "difficulty", "title", "+tasks", "+tags", "+author", "+path", "+digest"), Note: "no problems"}
	all := c.problems.All()
	var marks []labels
	for _, p := range all {
		l.Rows = append(l.Rows, []string{
			p.ID, strconv.Itoa(p.Version), p.App, p.Difficulty, p.Title, join(p.Tasks), join(p.Tags), p.Author, p.Prefix, p.Digest,
		})
		marks = append(marks, labels{"app": {p.App}, "difficulty": {p.Difficulty}, "tag": p.Tags, "task": p.Tasks})
	}
	l.Items = hidden(all)
	return l, marks, err
}

func listApps(a *app, _ []string) (render.List, []labels, error) {
	c, err := a.catalogs()
	l := render.List{Columns: columns("id", "title", "components", "objectives", "profiles", "+namespace", "+path", "+digest"), Note: "no apps"}
	all := c.apps.All()
	var marks []labels
	for _, d := range all {
		l.Rows = append(l.Rows, []string{
			d.ID, d.Title, strconv.Itoa(len(d.Components)), strconv.Itoa(len(d.SLOs)), join(d.ProfileNames()), d.Namespace, d.Path, d.Digest,
		})
		marks = append(marks, nil)
	}
	l.Items = all
	return l, marks, err
}

func listAgents(a *app, _ []string) (render.List, []labels, error) {
	_, err := a.catalogs() // The agents of private packs register with them.
	l := render.List{Columns: columns("name", "description", "+origin"), Note: "no agents"}
	all := agents.Infos()
	var marks []labels
	for _, i := range all {
		l.Rows = append(l.Rows, []string{i.Name, i.Description, i.Origin})
		marks = append(marks, nil)
	}
	l.Items = all
	return l, marks, err
}

func listScenarios(a *app, _ []string) (render.List, []labels, error) {
	c, err := a.catalogs()
	l := render.List{Columns: columns("id", "problems", "attempts", "twins", "title", "+agents", "+cluster", "+path"), Note: "no scenarios"}
	all := c.scenarios.All()
	var marks []labels
	for _, s := range all {
		l.Rows = append(l.Rows, []string{
			s.ID, strconv.Itoa(len(s.Problems)), strconv.Itoa(s.Attempts), strconv.FormatBool(s.Twins), s.Title, join(s.Agents),
			s.Cluster.Provider, s.File,
		})
		marks = append(marks, nil)
	}
	l.Items = all
	return l, marks, err
}

func listFaults(a *app, _ []string) (render.List, []labels, error) {
	c, err := a.catalogs()
	l := render.List{Columns: columns("id", "type", "title", "+params", "+path", "+digest"), Note: "no faults"}
	all := c.faults.All()
	var marks []labels
	for _, f := range all {
		l.Rows = append(l.Rows, []string{f.ID, f.Type, f.Title, join(f.ParamNames()), f.Path, f.Digest})
		marks = append(marks, labels{"type": {f.Type}})
	}
	l.Items = all
	return l, marks, err
}

// outFlag adds --out to a command that reads run directories.
func outFlag(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.out, "out", filepath.Join("results", "runs"), "directory of run directories")
}

func listRuns(a *app, _ []string) (render.List, []labels, error) {
	type item struct {
		results.Run
		Dir    string `json:"dir"`
		Scored int    `json:"scored"`
		Trials int    `json:"trials"`
	}
	runs, err := results.List(a.path(a.out))
	if err != nil {
		return render.List{}, nil, err
	}
	l := render.List{Columns: columns("id", "status", "scenario", "agents", "scored", "started", "+finished", "+dir"), Note: "no runs in " + a.out}
	items := []item{}
	var marks []labels
	for _, d := range runs {
		s := results.Summarize(d.Run, d.Trials)
		finished := ""
		if d.Run.FinishedAt != nil {
			finished = stamp(*d.Run.FinishedAt)
		}
		l.Rows = append(l.Rows, []string{
			d.Run.ID, string(d.Run.Status), d.Run.Scenario, join(d.Run.Agents), fmt.Sprintf("%d/%d", s.Scored, s.Planned),
			stamp(d.Run.StartedAt), finished, d.Dir,
		})
		items = append(items, item{d.Run, d.Dir, s.Scored, s.Finished})
		marks = append(marks, labels{"status": {string(d.Run.Status)}, "scenario": {d.Run.Scenario}, "agent": d.Run.Agents})
	}
	l.Items = items
	return l, marks, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func listTrials(a *app, args []string) (render.List, []labels, error) {
	name := ""
	if len(args) == 1 {
		name = args[0]
	}
	d, err := a.findRun(name)
	if err != nil {
		return render.List{}, nil, err
	}
	l := render.List{Columns: columns("trial", "status", "detection", "localization", "diagnosis", "mitigation", "steps", "seconds", "+retry", "+error"), Note: "no trials in " + d.Run.ID}
	var marks []labels
	for _, r := range d.Trials {
		failure := ""
		if r.Error != nil {
			failure = r.Error.Message
		}
		row := []string{r.Key.String(), string(r.Status)}
		for _, task := range []string{"detection", "localization", "diagnosis", "mitigation"} {
			cell := "-"
			if s, ok := r.Score(task); ok {
				cell = strconv.FormatFloat(s.Value, 'g', 3, 64)
			}
			row = append(row, cell)
		}
		took := r.FinishedAt.Sub(r.StartedAt).Seconds()
		l.Rows = append(l.Rows, append(row, strconv.Itoa(r.Steps), strconv.FormatFloat(took, 'f', 1, 64), strconv.Itoa(r.Retry), failure))
		marks = append(marks, labels{
			"status": {string(r.Status)}, "problem": {r.Problem}, "agent": {r.Agent}, "twin": {strconv.FormatBool(r.Twin)},
		})
	}
	l.Items = slices.Clone(d.Trials)
	if l.Rows == nil {
		l.Items = []results.TrialRecord{}
	}
	return l, marks, nil
}

func listClusters(a *app, _ []string) (render.List, []labels, error) {
	only := a.isOnly()
	if only == onExisting {
		return render.List{}, nil, &flagError{errs.Hint(errs.Newf(errs.Usage, "--cluster existing: gameday keeps no cluster of that kind"),
			"what killed runs left on one is removed with: gameday delete cluster --cluster existing --context NAME")}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	all, unseen, err := a.clusters(ctx, only)
	a.noteUnseen(unseen)
	l := render.List{Columns: columns("name", "kind", "status", "created", "kubeconfig", "+engine", "+owner", "+dir"), Note: "no clusters"}
	var marks []labels
	for _, c := range all {
		created := ""
		if !c.Created.IsZero() {
			created = stamp(c.Created)
		}
		l.Rows = append(l.Rows, []string{c.Name, c.Kind, c.Status, created, c.Kubeconfig, c.Engine, strconv.Itoa(c.Owner), c.Dir})
		marks = append(marks, nil)
	}
	l.Items = all
	return l, marks, err
}
