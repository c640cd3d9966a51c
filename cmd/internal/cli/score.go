package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/evaluator/regrade"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

func newScore(a *app) *cobra.Command {
	overwrite, allowDrift := false, false
	cmd := &cobra.Command{
		Use:   "score RUN",
		Short: "Grade a stored run again, offline",
		Long: `Grade every trial of a run again from its submission and its evidence, with the answers in this catalogue.

No cluster is needed. The new scores go into a score set of their own, scores/<n>, unless --overwrite replaces the
run's. A run of other versions of the problems is refused unless --allow-drift is given.`,
		GroupID: groupResults,
		Example: "  gameday score results/runs/20260102T030405Z-smoke-1a2b3c\n  gameday score 20260102T030405Z-smoke-1a2b3c -o json\n  gameday score 20260102T030405Z-smoke-1a2b3c --overwrite",
		Args:    nameArgs(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := a.findRun(args[0])
			if err != nil {
				return err
			}
			if data.Run.Status == results.RunStarted {
				return errs.Hint(errs.Newf(errs.Usage, "score run %s: it is still going", data.Run.ID), "wait until it has finished")
			}
			return a.score(data, overwrite, allowDrift)
		},
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace the scores of the run")
	cmd.Flags().BoolVar(&allowDrift, "allow-drift", false, "grade although problems have changed since the run")
	outFlag(a, cmd)
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

func (a *app) score(data *results.Data, overwrite, allowDrift bool) error {
	c, err := a.catalogs()
	if err != nil {
		return err
	}
	graded, err := regrade.Run(data, c.problems)
	if err != nil {
		return err
	}
	if len(graded.Drift) > 0 && !allowDrift {
		return errs.Hint(errs.Newf(errs.Usage, "score run %s: changed since the run: %s", data.Run.ID, strings.Join(graded.Drift, ", ")),
			"check out the revision of the run, or add --allow-drift")
	}
	for _, change := range graded.Changes {
		if change.Task != "" {
			fmt.Fprintf(a.notes(), "%s %s: was %g, is %g: %s\n", change.Trial, change.Task, change.Was, change.Is, change.Note)
			continue
		}
		fmt.Fprintf(a.notes(), "%s: %s\n", change.Trial, change.Note)
	}
	fmt.Fprintf(a.notes(), "%s graded again, %s\n", plural(graded.Regraded, "trial"), plural(len(graded.Changes), "change"))
	summary := results.Summarize(data.Run, graded.Trials)
	if overwrite {
		summary.Dir, err = data.Dir, results.ReplaceScores(data.Dir, graded.Trials, summary)
	} else {
		summary.Dir, err = results.AddScoreSet(data.Dir, graded.Trials, summary)
	}
	if err != nil {
		return err
	}
	return a.printSummary(summary)
}
