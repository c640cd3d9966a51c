package cli

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/progress"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

const resumeLong = `Play the trials of a run that have no final record: those that were not started, that were cancelled, that the run was
killed in, and those whose tries are not used up. What is recorded stays as it is; the new tries go beside it.

The plan is the run's own. It is refused where gameday, the scenario, a problem, an agent or a seed is another than when
the run was started: its trials would not be comparable. The kind of cluster is the run's, too; of its flags those that
are not given are as when the run was started.`

func newResume(a *app) *cobra.Command {
	f := &runFlags{attempts: 1, multiplier: 1}
	var again []string
	concurrency := 0
	cmd := &cobra.Command{
		Use: "resume RUN", Short: "Continue an interrupted run", Long: resumeLong, GroupID: groupRun,
		Example: `  gameday resume 20260102T030405Z-smoke-1a2b3c
  gameday resume results/runs/20260102T030405Z-smoke-1a2b3c --concurrency 2
  gameday resume 20260102T030405Z-smoke-1a2b3c --retry infra_error`,
		Args: nameArgs(1, 1),
		ValidArgsFunction: completeNames(func() []string {
			var ids []string
			runs, _ := results.List(a.path(a.out)) // Completion has nobody to tell.
			for _, d := range runs {
				if d.Run.Status != results.RunFinished && d.Run.Status != results.RunStarted {
					ids = append(ids, d.Run.ID)
				}
			}
			return ids
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.concurrency = max(concurrency, 1)
			return a.resume(cmd, args[0], f, concurrency, again)
		},
	}
	flags := cmd.Flags()
	flags.IntVarP(&concurrency, "concurrency", "j", 0, "trials at a time (default: as the run was started)")
	flags.StringSliceVar(&again, "retry", nil, "play trials that ended with these statuses again, too, for example infra_error")
	flags.StringVar(&f.maxInfra, "max-infra-errors", "0", "trials without a grade that are tolerated: a number or a percentage")
	flags.Float64Var(&f.failUnder, "fail-under", 0, "exit 4 when an agent scores less than this (0 to 1)")
	enumFlag(cmd, &f.progress, "progress", "auto", "progress mode", "how progress is shown", progress.Modes())
	f.clusters.register(cmd)
	outFlag(a, cmd)
	a.outputFlag(cmd, []string{render.Table, render.Name, render.JSON, render.YAML}, render.Table)
	return cmd
}

func (a *app) resume(cmd *cobra.Command, name string, f *runFlags, concurrency int, again []string) error {
	gate, err := f.check()
	if err != nil {
		return err
	}
	config := orchestrator.ResumeConfig{Concurrency: concurrency}
	if config.Again, err = statuses(again); err != nil {
		return err
	}
	data, err := a.findRun(name)
	if err != nil {
		return err
	}
	config.Dir = data.Dir
	c, err := a.catalogs()
	if err != nil {
		return err
	}
	f.clusters.recall(cmd, data.Run.Argv)
	if elsewhere := data.Run.Executor; elsewhere != nil {
		f.exec.name = elsewhere.Kind
		f.clusters.recallExecutor(cmd, elsewhere)
	}
	if err := f.clusters.check(cmd, data.Run.Cluster, f.exec.exempt()...); err != nil {
		return err
	}
	played, err := a.executor(data.Run.Executor, &f.clusters, data.Run.Agents)
	if err != nil {
		return err
	}
	runner := a.runner(c, &f.clusters, nil)
	runner.ScenarioDigest = a.scenarioDigest(c, data.Run)
	if played != nil {
		runner.Executor = played
	}
	if err := runner.CanResume(config); err != nil {
		return err
	}
	on := target{kind: data.Run.Cluster, clusters: max(concurrency, data.Run.Concurrency, 1), want: cluster.Spec{Nodes: data.Run.Nodes, Fidelity: data.Run.Fidelity}}
	if err := a.ready(cmd.Context(), played, &f.clusters, c, on, filepath.Dir(data.Dir)); err != nil {
		return err
	}
	observer, err := a.progress(f.progress)
	if err != nil {
		return err
	}
	runner.Observer = observer
	summary, runErr := a.Backend.Resume(cmd.Context(), runner, config)
	runErr = errors.Join(runErr, closeProviders(cmd.Context(), runner))
	a.endProgress(observer)
	return a.finishRun(summary, runErr, f, gate)
}

// statuses reads the values of --retry.
func statuses(names []string) ([]results.Status, error) {
	var out []results.Status
	for _, name := range names {
		if status := results.Status(name); status.Valid() && status != results.Graded {
			out = append(out, status)
			continue
		}
		var known []string
		for _, s := range results.Statuses() {
			if s != results.Graded {
				known = append(known, string(s))
			}
		}
		err := nearest.Unknown("status", name, known)
		return nil, &flagError{errs.Newf(errs.Usage, "invalid --retry: %s; %s", err, err.Hint())}
	}
	return out, nil
}

// scenarioDigest is the digest of the scenario that the run was started with, as it is now: by its id, or the file of its
// command line. It is "" where the scenario came from standard input or from a file that is gone.
func (a *app) scenarioDigest(c *catalogs, run results.Run) string {
	for _, arg := range run.Argv {
		if strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml") {
			if entry, err := a.scenarioFile(c, arg); err == nil && entry.ID == run.Scenario {
				return entry.Digest
			}
		}
	}
	if entry, err := c.scenarios.Get(run.Scenario); err == nil && slices.Contains(run.Argv, run.Scenario) {
		return entry.Digest
	}
	return ""
}

// resumeHint is how an interrupted run goes on.
func (a *app) resumeHint(summary *results.Summary) string {
	name := summary.Dir
	if filepath.Dir(name) == a.path(filepath.Join("results", "runs")) {
		name = filepath.Base(name)
	}
	hint := "resume with: gameday resume " + name
	for _, pack := range a.packs {
		hint += " --catalog " + pack
	}
	return hint
}
