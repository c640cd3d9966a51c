package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

const doctorLong = `Look for everything that a run needs, and start nothing.

For the embedded cluster that is this machine: binaries, memory, disk, ports, limits. With --cluster existing it is the
cluster behind a context of a kubeconfig: whether it can be reached and does not look like production, rights, room,
nodes, storage, Chaos Mesh, the registry, and whether the names that a trial needs are free. Nothing is changed there.

Exit code 6 when something required is missing.`

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	cluster     string
	concurrency int
	existing    existingFlags
}

func newDoctor(a *app) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check whether trials can run",
		Long:    doctorLong,
		GroupID: groupOther,
		Example: "  gameday doctor\n  gameday doctor --concurrency 4\n  gameday doctor --cluster existing --context staging --registry ghcr.io/me/exercise\n  gameday doctor -o json",
		Args:    nameArgs(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd, f) },
	}
	enumFlag(cmd, &f.cluster, "cluster", "embedded", "cluster provider", "kind of cluster", doctorClusters())
	cmd.Flags().IntVarP(&f.concurrency, "concurrency", "j", 1, "trials at a time that are planned")
	outFlag(a, cmd)
	f.existing.register(cmd)
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

// doctorClusters are the kinds of clusters for which there are checks.
func doctorClusters() []string {
	return slices.Compact(slices.Sorted(slices.Values(append(providerNames(), existingCluster))))
}

func (a *app) doctor(cmd *cobra.Command, f *doctorFlags) error {
	if err := f.existing.check(cmd, f.cluster); err != nil {
		return err
	}
	options := doctor.Options{OutDir: a.path(a.out), Concurrency: f.concurrency}
	if f.cluster == existingCluster {
		c, err := a.catalogs()
		if err != nil {
			return err
		}
		options.Existing = f.existing.provider(a, c)
		if _, err := options.Existing.Target(); errs.PartyOf(err) == errs.Usage {
			return err // A missing --context is no finding about a cluster.
		}
	}
	return a.printChecks(a.Backend.Doctor(cmd.Context(), options))
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
