package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

const doctorLong = `Look for everything that a run needs. Nothing is started, but for a container that ends at once, and nothing is changed.

For the embedded cluster that is this machine: binaries, memory, disk, ports, limits. With --cluster kind it is the
container engine: whether it answers and is new enough, memory, disk, the node image and, in a container of that image,
which packet schedulers the kernel has for faults of the network. With --cluster existing it is the cluster behind
--context: whether it can be reached and does not look like production, rights, room, storage. With --executor
kubernetes it is the cluster whose pods are to play the trials.

Exit code 6 when something required is missing.`

func newDoctor(a *app) *cobra.Command {
	on, f, exec := target{}, &clusterFlags{}, &executorFlags{}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check whether trials can run",
		Long:    doctorLong,
		GroupID: groupOther,
		Example: "  gameday doctor\n  gameday doctor --concurrency 4\n  gameday doctor --cluster kind\n" +
			"  gameday doctor --cluster existing --context staging --registry ghcr.io/me/exercise\n" +
			"  gameday doctor --executor kubernetes --context staging --registry ghcr.io/me/exercise\n  gameday doctor -o json",
		Args: nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd, f, exec, on) },
	}
	enumFlag(cmd, &on.kind, "cluster", onEmbedded, "cluster provider", "kind of cluster", providerNames())
	cmd.Flags().IntVarP(&on.clusters, "concurrency", "j", 1, "trials at a time that are planned")
	f.register(cmd)
	exec.register(cmd)
	outFlag(a, cmd)
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

func (a *app) doctor(cmd *cobra.Command, f *clusterFlags, exec *executorFlags, on target) error {
	if err := f.check(cmd, on.kind, exec.exempt()...); err != nil {
		return err
	}
	elsewhere, err := exec.spec(a, cmd, f, on.kind)
	if err != nil {
		return err
	}
	if elsewhere != nil {
		e, err := a.executor(elsewhere, f, nil)
		if err != nil {
			return err
		}
		return a.printChecks(a.Backend.Doctor(cmd.Context(), f.examineExecutor(e, doctor.Options{OutDir: a.path(a.out)})))
	}
	c, err := a.catalogs()
	if err != nil && on.kind == onExisting { // What has to fit is read from the catalogues.
		return err
	}
	options, err := f.examine(a, c, on, doctor.Options{OutDir: a.path(a.out)})
	if err != nil {
		return err
	}
	return a.printChecks(a.Backend.Doctor(cmd.Context(), options))
}

// preflight refuses to start what cannot work, and fetches what is missing and can be had, before anything is started. c may be nil where
// no application is deployed.
func (a *app) preflight(ctx context.Context, f *clusterFlags, c *catalogs, on target, out string) error {
	options, err := f.examine(a, c, on, doctor.Options{OutDir: out, Quick: true})
	if err != nil {
		return err
	}
	checks := a.Backend.Doctor(ctx, options)
	if err := options.Refuse(checks); err != nil || on.kind != onKind {
		return err
	}
	for _, c := range checks {
		if !c.OK { // It is only good to know: that an image is pulled takes minutes.
			fmt.Fprintf(a.notes(), "note: %s: %s\n", c.Name, c.Detail)
		}
	}
	if a.Backend.Prepare == nil {
		return nil
	}
	return a.Backend.Prepare(ctx, f.kindProvider(a), on.want)
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
