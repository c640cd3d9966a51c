package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/results"
)

// runFlag adds --run and --out to a command that looks into one run.
func runFlag(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.runName, "run", "", "run directory or id (default: the last run)")
	outFlag(a, cmd)
}

func describeRun(a *app, name string) (description, error) {
	d, err := a.findRun(name)
	if err != nil {
		return description{}, err
	}
	s := results.Summarize(d.Run, d.Trials)
	finished := ""
	if d.Run.FinishedAt != nil {
		finished = stamp(*d.Run.FinishedAt)
	}
	failure, hint := "", ""
	if d.Run.Error != nil {
		failure = fmt.Sprintf("%s (%s)", d.Run.Error.Message, d.Run.Error.Party)
		hint = d.Run.Error.Hint
	}
	var rows []string
	for _, agent := range s.Agents {
		rows = append(rows, fmt.Sprintf("%s: score %s, balanced accuracy %s, localization %s, diagnosis %s, mitigation %s (%d of %d scored)",
			agent.Agent, score(agent.Score), score(agent.BalancedAccuracy), agent.Cell("localization"), agent.Cell("diagnosis"),
			agent.Cell("mitigation"), agent.Scored, agent.Planned))
	}
	var digests []string
	for _, name := range slices.Sorted(maps.Keys(d.Run.Digests)) {
		digests = append(digests, name+" "+d.Run.Digests[name])
	}
	killed, err := d.Killed()
	if err != nil {
		return description{}, err
	}
	var unfinished, resumed, left []string
	for _, l := range d.Run.LeftOut {
		left = append(left, l.Problem+": "+l.Reason)
	}
	for _, k := range killed {
		unfinished = append(unfinished, k.String())
	}
	for _, at := range d.Run.ResumedAt {
		resumed = append(resumed, stamp(at))
	}
	torn := ""
	if d.Torn > 0 {
		torn = strconv.Itoa(d.Torn)
	}
	return description{
		data: map[string]any{"schemaVersion": render.SchemaVersion, "run": d.Run, "dir": d.Dir, "summary": s, "unfinished": d.Unfinished},
		fields: render.Fields{
			{Name: "ID", Value: d.Run.ID}, {Name: "Status", Value: string(d.Run.Status)}, {Name: "Error", Value: failure}, {Name: "Hint", Value: hint},
			{Name: "Scenario", Value: d.Run.Scenario}, {Name: "Command", Value: strings.Join(d.Run.Argv, " ")},
			{Name: "Executor", Value: executorText(d.Run.Executor)}, {Name: "Started", Value: stamp(d.Run.StartedAt)}, {Name: "Resumed", Value: strings.Join(resumed, ", ")}, {Name: "Finished", Value: finished},
			{Name: "Trials", Value: fmt.Sprintf("%d planned, %d finished, %d scored, %d retried (%s)", s.Planned, s.Finished, s.Scored, s.Retries, results.FormatStatuses(s.Statuses))},
			{Name: "Torn lines", Value: torn}, {Name: "Version", Value: strings.TrimSpace(d.Run.Tool.Version + " " + d.Run.Tool.Commit)},
			{Name: "Host", Value: fmt.Sprintf("%s/%s, %d CPUs, %d MiB", d.Run.Host.OS, d.Run.Host.Arch, d.Run.Host.CPUs, d.Run.Host.MemoryBytes>>20)},
			{Name: "Directory", Value: d.Dir}, {Name: "Agents", Lines: rows}, {Name: "Left out", Lines: left}, {Name: "Unfinished", Lines: unfinished}, {Name: "Digests", Lines: digests},
		},
	}, nil
}

func describeTrial(a *app, name string) (description, error) {
	d, err := a.findRun(a.runName)
	if err != nil {
		return description{}, err
	}
	var known []string
	var found *results.TrialRecord
	for i, r := range d.Trials {
		label := strings.TrimPrefix(r.Dir, "trials/")
		known = append(known, label)
		if label == name || found == nil && r.Key.String() == name {
			found = &d.Trials[i]
		}
	}
	if found == nil {
		return description{}, unknown("trial", name, known)
	}
	r := *found
	failure := ""
	var hint []string
	if r.Error != nil {
		failure = fmt.Sprintf("%s (%s, in %s)", r.Error.Message, r.Error.Party, r.Error.Phase)
	}
	if r.Error != nil && r.Error.Hint != "" {
		hint = strings.Split(r.Error.Hint, "\n")
	}
	var scores, phases, draw []string
	for _, s := range r.Scores {
		scores = append(scores, fmt.Sprintf("%s %g: %s", s.Task, s.Value, s.Reason))
		for _, metric := range slices.Sorted(maps.Keys(s.Metrics)) {
			scores = append(scores, fmt.Sprintf("  %s %.4g", metric, s.Metrics[metric]))
		}
	}
	for _, phase := range slices.Sorted(maps.Keys(r.Phases)) {
		phases = append(phases, fmt.Sprintf("%s %.1fs", phase, r.Phases[phase]))
	}
	for _, parameter := range slices.Sorted(maps.Keys(r.Draw)) {
		draw = append(draw, parameter+" "+r.Draw[parameter])
	}
	return description{
		data: map[string]any{"schemaVersion": render.SchemaVersion, "run": d.Run.ID, "trial": r},
		fields: render.Fields{
			{Name: "Trial", Value: r.Key.String()}, {Name: "Run", Value: d.Run.ID}, {Name: "Status", Value: string(r.Status)}, {Name: "Error", Value: failure}, {Name: "Hint", Lines: hint},
			{Name: "Seed", Value: strconv.FormatInt(r.Seed, 10)}, {Name: "Retry", Value: strconv.Itoa(r.Retry)}, {Name: "Played on", Value: placementText(d, r)},
			{Name: "Started", Value: stamp(r.StartedAt)}, {Name: "Finished", Value: stamp(r.FinishedAt)},
			{Name: "Agent", Value: spent(r)}, {Name: "Overhead", Value: fmt.Sprintf("%.1fs", r.OverheadSeconds)},
			{Name: "Directory", Value: d.Dir + "/" + r.Dir}, {Name: "Scores", Lines: scores}, {Name: "Phases", Lines: phases}, {Name: "Draw", Lines: draw},
			{Name: "Left behind", Lines: r.Left},
		},
	}, nil
}

func describeCluster(a *app, name string) (description, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	all, unseen, err := a.clusters(ctx, "")
	if err != nil {
		return description{}, err
	}
	a.noteUnseen(unseen)
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
		if c.Name != name {
			continue
		}
		created := ""
		if !c.Created.IsZero() {
			created = stamp(c.Created)
		}
		return description{data: c, fields: render.Fields{
			{Name: "Name", Value: c.Name}, {Name: "Kind", Value: c.Kind}, {Name: "Engine", Value: c.Engine}, {Name: "Status", Value: c.Status},
			{Name: "Created", Value: created}, {Name: "Kubeconfig", Value: c.Kubeconfig}, {Name: "Owner", Value: strconv.Itoa(c.Owner)}, {Name: "Directory", Value: c.Dir},
		}}, nil
	}
	return description{}, unknown("cluster", name, known)
}

// spent is what the agent took and what it reports that it cost.
func spent(r results.TrialRecord) string {
	return fmt.Sprintf("%.1fs, %d steps%s", r.AgentSeconds, r.Steps, reported(r.Tokens, r.CostUSD))
}
