package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/cmd/internal/config"
	"github.com/gameday-bench/gameday/cmd/internal/progress"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// runFlags are the flags of run. What has a structure belongs into a scenario file.
type runFlags struct {
	agents       []string
	attempts     int
	concurrency  int
	cluster      string
	seeds        []int64
	twins        bool
	out          string
	runID        string
	infraRetries int
	maxInfra     string
	failUnder    float64
	multiplier   float64
	progress     string
	dryRun       bool
	skip         bool
	clusters     clusterFlags
	exec         executorFlags
}

const runLong = `Run every agent on every problem of a scenario, or on the problems that are named, and score them.

Each trial has a cluster to itself with the application under load, proves that it is healthy, injects the faults, proves
that they show, lets the agent work, and grades. Nothing outside of the run directory and a private runtime directory is
written; clusters that were made end with the run.

--cluster embedded, the default, needs nothing installed and makes a cluster for each trial. --cluster kind makes nodes in
containers of Docker, Podman or nerdctl, and uses a cluster again once it is proven to be clean. --cluster existing works
on the cluster behind --context, in namespaces of its own. Flags whose help begins with "kind" or "existing" go with these.

A problem whose faults the clusters cannot have, for want of rights, nodes that may fail or something in the kernel, keeps
the run from starting. With --skip-infeasible it is left out, which the run's record says.

--executor kubernetes has the trials played in pods of the cluster behind --context, each with an embedded cluster of its
own, and gathers them into the run directory as they end. The namespace that is made for it is removed at the end.

SCENARIO is an id, a file, or - for standard input. What the command line gives wins over the scenario.`

func newRun(a *app) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:     "run SCENARIO | PROBLEM...",
		Short:   "Run agents on a scenario and score them",
		Long:    runLong,
		GroupID: groupRun,
		Example: `  gameday run smoke --agent oracle --agent nop --agent playbook
  gameday run hotel-wrong-target-port --agent playbook --twins --attempts 5
  gameday run mine.yaml --concurrency 2 --out /data/runs
  gameday run smoke --agent nop --dry-run
  gameday run smoke --agent playbook --cluster kind --engine podman
  gameday run smoke --agent playbook --cluster kind --skip-infeasible
  gameday run smoke --agent playbook --cluster existing --context staging --registry ghcr.io/me/exercise
  gameday run smoke --agent playbook --executor kubernetes --context staging --registry ghcr.io/me/exercise --workers 8
  gameday run smoke --agent playbook --fail-under 0.8 -o json`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames(func() []string {
			c, _ := a.catalogs() // What is right can be completed, whatever else is wrong.
			return append(c.scenarios.IDs(), c.problems.IDs()...)
		}),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, args, f) },
	}
	f.register(a, cmd)
	a.outputFlag(cmd, []string{render.Table, render.Name, render.JSON, render.YAML}, render.Table)
	return cmd
}

func (f *runFlags) register(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.agents, "agent", "a", nil, "agent to run (repeatable); see gameday get agents")
	flags.IntVarP(&f.attempts, "attempts", "k", 1, "how often each agent tries each problem")
	flags.IntVarP(&f.concurrency, "concurrency", "j", 1, "trials at a time, each on a cluster of its own; clusters come up in turns, one for every two processors")
	enumFlag(cmd, &f.cluster, "cluster", onEmbedded, "cluster provider", "kind of cluster", providerNames())
	f.clusters.register(cmd)
	f.exec.register(cmd)
	flags.Int64SliceVar(&f.seeds, "seed", nil, "seed of each attempt in turn (repeatable; default 0), from which problems draw their parameters")
	flags.Lookup("seed").DefValue = "" // Not the empty list that stands for it.
	flags.BoolVar(&f.twins, "twins", false, "run each problem once more without its fault")
	flags.StringVar(&f.out, "out", filepath.Join("results", "runs"), "directory of run directories")
	flags.StringVar(&f.runID, "run-id", "", "name of the run directory (default <utc>-<scenario>-<6hex>)")
	flags.IntVar(&f.infraRetries, "infra-retries", 1, "how often a trial is tried again that failed for our own reasons")
	flags.StringVar(&f.maxInfra, "max-infra-errors", "0", "trials without a grade that are tolerated: a number or a percentage")
	flags.Float64Var(&f.failUnder, "fail-under", 0, "exit 4 when an agent scores less than this (0 to 1)")
	flags.Float64Var(&f.multiplier, "timeout-multiplier", 1, "factor on the deadlines of all phases but the agent's")
	enumFlag(cmd, &f.progress, "progress", "auto", "progress mode", "how progress is shown", progress.Modes())
	flags.BoolVar(&f.skip, "skip-infeasible", false, "leave out problems whose faults the clusters cannot have, and say why; without it such a run is refused")
	_ = flags.SetAnnotation("skip-infeasible", clusterAnnotation, []string{"true"}) // It is about what a kind of cluster can have.
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the trials and start nothing")
	_ = cmd.RegisterFlagCompletionFunc("agent", cobra.FixedCompletions(agents.Names(), cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) run(cmd *cobra.Command, args []string, f *runFlags) error {
	gate, err := f.check()
	if err != nil {
		return err
	}
	c, err := a.catalogs()
	if err != nil {
		return err
	}
	scenario, err := a.scenario(c, args)
	if err != nil {
		return err
	}
	f.overlay(cmd, &scenario.Scenario)
	if err := checkAgents(scenario.Agents); err != nil {
		return err
	}
	groups, err := a.scenarioCluster(&scenario)
	if err != nil {
		return err
	}
	if f.clusters.kindConfig != "" { // The command line says what nodes there are.
		groups, scenario.Cluster.Nodes = nil, 0
	}
	on := target{
		kind: scenario.Cluster.Provider, clusters: scenario.Concurrency,
		want: cluster.Spec{Nodes: scenario.Cluster.Nodes, NodeGroups: groups, Fidelity: scenario.Cluster.Fidelity},
	}
	if err := f.clusters.check(cmd, on.kind, f.exec.exempt()...); err != nil {
		return err
	}
	elsewhere, err := f.exec.spec(a, cmd, &f.clusters, on.kind)
	if err != nil {
		return err
	}
	plan := scenarios.Plan{
		Problems: scenario.Problems, Agents: scenario.Agents, Attempts: scenario.Attempts, Seeds: scenario.Seeds, Twins: scenario.Twins,
	}
	if f.dryRun {
		return a.printPlan(a.feasible(c, f, plan, on.kind))
	}
	played, err := a.executor(elsewhere, &f.clusters, scenario.Agents)
	if err != nil {
		return err
	}
	if err := a.ready(cmd.Context(), played, &f.clusters, c, on, a.path(f.out)); err != nil {
		return err
	}
	observer, err := a.progress(f.progress)
	if err != nil {
		return err
	}
	runner := a.runner(c, &f.clusters, observer)
	runner.ScenarioDigest = scenario.Digest
	if played != nil {
		runner.Executor = played
	}
	settings, err := a.settings(cmd)
	if err != nil {
		return err
	}
	config := f.runConfig(a, scenario.Scenario, settings)
	config.NodeGroups, config.Executor = groups, elsewhere
	summary, runErr := a.Backend.Run(cmd.Context(), runner, config)
	runErr = errors.Join(runErr, closeProviders(cmd.Context(), runner))
	a.endProgress(observer)
	return a.finishRun(summary, runErr, f, gate)
}

func (f *runFlags) runConfig(a *app, s scenarios.Scenario, settings []config.Setting) orchestrator.RunConfig {
	resolved, _ := json.Marshal(map[string]any{"settings": settings, "scenario": s}) // Plain data always encodes.
	return orchestrator.RunConfig{
		Scenario: s.ID, Problems: s.Problems, Agents: s.Agents, Attempts: s.Attempts, Seeds: s.Seeds, Twins: s.Twins,
		Concurrency: s.Concurrency, Cluster: s.Cluster.Provider, Nodes: s.Cluster.Nodes, Fidelity: s.Cluster.Fidelity,
		OutDir: a.path(f.out), RunID: f.runID, InfraRetries: f.infraRetries, TimeoutMultiplier: f.multiplier, SkipInfeasible: f.skip,
		Argv: append([]string{"gameday"}, a.Args...), Config: resolved,
	}
}

// feasible is a plan without what the clusters cannot have, where that is to be left out, as far as it is known without asking anybody.
func (a *app) feasible(c *catalogs, f *runFlags, plan scenarios.Plan, on string) scenarios.Plan {
	if !f.skip {
		return plan
	}
	left := map[string]bool{}
	for _, l := range a.runner(c, &f.clusters, nil).Infeasible(orchestrator.RunConfig{Problems: plan.Problems, Cluster: on}) {
		left[l.Problem] = true
		fmt.Fprintf(a.notes(), "left out: problem %s: %s\n", l.Problem, l.Reason)
	}
	plan.Problems = slices.DeleteFunc(slices.Clone(plan.Problems), func(id string) bool { return left[id] })
	return plan
}

// overlay puts what the command line gave over the scenario. Settings from the environment and from files are weaker than a
// scenario file; for problems that are named without one they hold.
func (f *runFlags) overlay(cmd *cobra.Command, s *scenarios.Scenario) {
	adHoc := s.Kind == ""
	use := func(name string) bool { return adHoc || cmd.Flags().Changed(name) }
	if use("agent") || len(s.Agents) == 0 {
		s.Agents = f.agents
	}
	if use("attempts") {
		s.Attempts = f.attempts
	}
	if use("concurrency") || s.Concurrency <= 1 {
		s.Concurrency = f.concurrency
	}
	if use("cluster") {
		s.Cluster.Provider = f.cluster
	}
	if use("twins") {
		s.Twins = f.twins
	}
	if len(f.seeds) > 0 {
		s.Seeds = f.seeds
	}
	if len(s.Seeds) == 0 {
		s.Seeds = []int64{0}
	}
}

// checkAgents resolves every agent before anything is started.
func checkAgents(names []string) error {
	if len(names) == 0 {
		return errs.Hint(errs.Newf(errs.Usage, "no agent to run"), "add --agent NAME; known: %s", list(agents.Names()))
	}
	seen := map[string]bool{}
	for _, name := range names {
		if _, err := agents.Lookup(name); err != nil {
			return unknown("agent", name, agents.Names())
		}
		if seen[name] {
			return errs.Newf(errs.Usage, "agent %q is named twice", name)
		}
		seen[name] = true
	}
	return nil
}

func (a *app) progress(mode string) (progress.Renderer, error) {
	if a.quiet {
		mode = "none"
	}
	renderer, err := progress.New(progress.Options{
		Mode: mode, Out: a.Stderr, Terminal: a.progressTerminal(), Width: a.Width, Color: a.color(),
	})
	if err != nil {
		return nil, err
	}
	a.drawing.Store(&renderer)
	return renderer, nil
}

// endProgress draws what is left; from here on standard error is for lines.
func (a *app) endProgress(renderer progress.Renderer) {
	a.drawing.Store(nil)
	renderer.Close()
}

// finishRun prints the summary and turns what happened into the exit code.
func (a *app) finishRun(summary *results.Summary, runErr error, f *runFlags, gate infraGate) error {
	if summary != nil {
		if err := a.printSummary(summary); err != nil {
			return errors.Join(runErr, err)
		}
	}
	if summary != nil && errs.PartyOf(runErr) == errs.Interrupted {
		return errs.Hint(runErr, "%s", a.resumeHint(summary))
	}
	if runErr != nil || summary == nil {
		return runErr
	}
	if ungraded := summary.Planned - summary.Scored; gate.exceeded(ungraded, summary.Planned) {
		return errs.Exit(errs.ExitIncomplete, errs.Hint(
			fmt.Errorf("%d of %d trials have no grade: %s", ungraded, summary.Planned, results.FormatStatuses(summary.Statuses)),
			"see the errors with: gameday get trials %s -o wide", summary.RunID))
	}
	for _, agent := range summary.Agents {
		if agent.Score == nil || *agent.Score < f.failUnder {
			if f.failUnder > 0 {
				return errs.Exit(errs.ExitGate, fmt.Errorf("agent %s scored %s, less than --fail-under %g", agent.Agent, score(agent.Score), f.failUnder))
			}
		}
	}
	return nil
}
