package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

func newDoctor(a *app) *cobra.Command {
	concurrency := 1
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check whether this machine can run trials",
		Long:    "Look for everything that a run needs: binaries, memory, disk, ports, limits. Nothing is started.\n\nExit code 6 when something required is missing.",
		GroupID: groupOther,
		Example: "  gameday doctor\n  gameday doctor --concurrency 4\n  gameday doctor -o json",
		Args:    nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := a.Backend.Doctor(cmd.Context(), doctor.Options{OutDir: a.path(a.out), Concurrency: concurrency})
			return a.printChecks(checks)
		},
	}
	cmd.Flags().IntVarP(&concurrency, "concurrency", "j", 1, "trials at a time that are planned")
	outFlag(a, cmd)
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

// preflight refuses to start what cannot work, before anything is started.
func (a *app) preflight(ctx context.Context, out string, concurrency int) error {
	return doctor.Error(a.Backend.Doctor(ctx, doctor.Options{OutDir: out, Concurrency: concurrency, Quick: true}))
}

func (a *app) printChecks(checks []doctor.Check) error {
	l := render.List{Columns: columns("check", "result", "detail"), Items: checks}
	failed := 0
	for _, c := range checks {
		result := "ok"
		switch {
		case !c.OK && c.Required:
			result, failed = "FAILED", failed+1
		case !c.OK:
			result = "note"
		}
		l.Rows = append(l.Rows, []string{c.Name, result, c.Detail})
	}
	if err := a.printList(l, false); err != nil {
		return err
	}
	for _, c := range checks {
		if !c.OK && c.Hint != "" {
			fmt.Fprintf(a.notes(), "%s: %s\n", c.Name, c.Hint)
		}
	}
	if failed > 0 {
		return errs.Newf(errs.Infra, "%s failed", plural(failed, "check"))
	}
	return nil
}
