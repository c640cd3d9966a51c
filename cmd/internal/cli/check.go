package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/progress"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
)

// checkItem is one proof in one of several rounds.
type checkItem struct {
	Problem string `json:"problem"`
	Round   int    `json:"round"`
	orchestrator.CheckResult
}

func newCheck(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Prove that a problem is sound",
		Long:    "Prove on a cluster that something in the catalogue does what it claims.",
		GroupID: groupRun,
		Example: "  gameday check problem hotel-wrong-target-port\n  gameday check problem hotel-scaled-to-zero --times 5",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckProblem(a))
	return cmd
}

func newCheckProblem(a *app) *cobra.Command {
	times, seed, mode, multiplier, on, f := 1, int64(0), "", 1.0, target{clusters: 1}, &clusterFlags{}
	cmd := &cobra.Command{
		Use:   "problem ID...",
		Short: "Prove that problems are sound",
		Long: `Prove a problem on clusters of its own:
  (a) its files are right, and all that they name exists
  (b) without the fault the application counts as healthy
  (c) with the fault it does not, and the symptom shows
  (d) after the fault is taken back it counts as healthy again
  (e) agent oracle, which knows the answer, scores 1 on every task
  (f) agent nop, which does nothing, scores 0
  (g) every cheat that the problem lists fails
  (h) nothing that an agent can see names the fault
  (i) the problem's twin, a trial without the fault, ends healthy

Exit code 3 when a proof fails.`,
		Example: "  gameday check problem hotel-wrong-target-port\n  gameday check problem hotel-scaled-to-zero --times 5 --seed 7\n  gameday check problem hotel-buggy-release -o json",
		Args:    nameArgs(1, -1),
		ValidArgsFunction: completeNames(func() []string {
			c, _ := a.catalogs() // What is right can be completed, whatever else is wrong.
			return c.problems.IDs()
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.catalogs()
			if err != nil {
				return errs.Exit(errs.ExitFindings, err)
			}
			for _, id := range args {
				if _, err := c.problems.Get(id); err != nil {
					return err
				}
			}
			if times < 1 {
				return &flagError{errs.Newf(errs.Usage, "invalid --times %d: want 1 or more", times)}
			}
			if err := f.check(cmd, on.kind); err != nil {
				return err
			}
			if err := a.preflight(cmd.Context(), f, c, on, ""); err != nil {
				return err
			}
			observer, err := a.progress(mode)
			if err != nil {
				return err
			}
			config := orchestrator.RunConfig{Cluster: on.kind, TimeoutMultiplier: multiplier}
			return a.check(cmd, a.runner(c, f, observer), observer, args, times, seed, config)
		},
	}
	cmd.Flags().IntVar(&times, "times", 1, "how often each proof is made, to find flakes")
	cmd.Flags().Int64Var(&seed, "seed", 0, "seed from which the problem's parameters are drawn")
	cmd.Flags().Float64Var(&multiplier, "timeout-multiplier", 1, "factor on the deadlines of all phases but the agent's")
	enumFlag(cmd, &on.kind, "cluster", onEmbedded, "cluster provider", "kind of cluster", providerNames())
	f.register(cmd)
	enumFlag(cmd, &mode, "progress", "auto", "progress mode", "how progress is shown", progress.Modes())
	a.outputFlag(cmd, render.ListFormats(), render.Table)
	return cmd
}

func (a *app) check(
	cmd *cobra.Command, runner *orchestrator.Runner, observer progress.Renderer, ids []string, times int, seed int64, config orchestrator.RunConfig,
) error {
	var err error
	items := []checkItem{}
	failed := 0
	for _, id := range ids {
		for round := 1; round <= times && err == nil; round++ {
			var proofs []orchestrator.CheckResult
			proofs, err = a.Backend.Check(cmd.Context(), runner, id, seed, config)
			for _, p := range proofs {
				items = append(items, checkItem{id, round, p})
				if !p.Passed {
					failed++
				}
			}
		}
	}
	err = errors.Join(err, closeProviders(cmd.Context(), runner))
	a.endProgress(observer)
	l := render.List{Columns: columns("problem", "round", "proof", "passed", "seconds", "name", "detail"), Items: items}
	for _, i := range items {
		l.Rows = append(l.Rows, []string{
			i.Problem, strconv.Itoa(i.Round), i.Letter, strconv.FormatBool(i.Passed), strconv.FormatFloat(i.Seconds, 'f', 1, 64), i.Name, i.Detail,
		})
	}
	if printErr := a.printList(l, false); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return errs.Exit(errs.ExitFindings, fmt.Errorf("%d of %s failed", failed, plural(len(items), "proof")))
	}
	return nil
}
