package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
)

func newCreate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Create a cluster", Long: "Create something that outlives the command.", GroupID: groupCluster,
		Example: "  gameday create cluster\n  gameday create cluster demo --nodes 3",
		Args:    unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreateCluster(a))
	return cmd
}

// specFlags are what describes an embedded cluster; create and supervise share them.
func specFlags(cmd *cobra.Command, want *cluster.Spec) {
	cmd.Flags().IntVar(&want.Nodes, "nodes", 3, "number of worker nodes")
	enumFlag(cmd, &want.Fidelity, "fidelity", "fast", "fidelity", "how quickly controllers and probes react", []string{"fast", "production"})
}

// fileFlag is the flag of the cluster file. It is not --config, which every command has for its settings.
func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "", "cluster file with the nodes and their sizes, in place of --nodes")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
}

// useFile puts what a cluster file says into want. What the command line gives wins, but for the nodes, which only one can name.
func (a *app) useFile(cmd *cobra.Command, file string, want *cluster.Spec) error {
	if file == "" {
		return nil
	}
	if cmd.Flags().Changed("nodes") {
		return &flagError{errs.Newf(errs.Usage, "give --nodes or --file, not both")}
	}
	f, err := a.readClusterFile(file)
	if err != nil {
		return err
	}
	want.NodeGroups, want.Nodes = f.Nodes, 0
	if f.Fidelity != "" && !cmd.Flags().Changed("fidelity") {
		want.Fidelity = f.Fidelity
	}
	return nil
}

// readClusterFile reads a cluster file; the path is relative to the working directory.
func (a *app) readClusterFile(file string) (*cluster.File, error) {
	data, err := os.ReadFile(a.path(file))
	if err != nil {
		return nil, errs.With(errs.Usage, fmt.Errorf("read cluster file: %w", err))
	}
	f, err := cluster.ReadFile(file, data)
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	return f, nil
}

// scenarioCluster returns the nodes of the cluster file that a scenario names, and puts the file's fidelity where the scenario has
// none. Without a file there are no groups.
func (a *app) scenarioCluster(s *scenarios.Entry) ([]cluster.NodeGroup, error) {
	file := s.Cluster.Config
	if file == "" {
		return nil, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(filepath.FromSlash(s.File)), file)
	}
	f, err := a.readClusterFile(file)
	if err != nil {
		return nil, err
	}
	s.Cluster.Fidelity = cmp.Or(s.Cluster.Fidelity, f.Fidelity)
	return f.Nodes, nil
}

// nodeCount is how many nodes want asks for.
func nodeCount(want cluster.Spec) int {
	n := want.Nodes
	for _, names := range cluster.NodeNames(want.NodeGroups) {
		n += len(names)
	}
	return n
}

func newCreateCluster(a *app) *cobra.Command {
	want, file := cluster.Spec{}, ""
	wait := 3 * time.Minute
	with := &appFlags{}
	cmd := &cobra.Command{
		Use:   "cluster [NAME]",
		Short: "Create an embedded cluster that stays up",
		Long: `Create an embedded Kubernetes cluster and keep it until it is deleted. Without NAME it is called gameday.

Its processes run as this user, without root or Docker. The kubeconfig is written into the cluster's own directory;
your own ~/.kube/config is never touched. The command prints the path of the kubeconfig.

--file names a cluster file: the nodes, their sizes, labels, taints, devices and eviction thresholds.`,
		Example: "  gameday create cluster\n  gameday create cluster demo --nodes 5 --fidelity production\n  gameday create cluster demo --file nodes.yaml\n  gameday create cluster demo --app hotel --rate 100 --ingress\n  KUBECONFIG=$(gameday create cluster demo) kubectl get nodes",
		Args:    nameArgs(0, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Name = "gameday"
			if len(args) == 1 {
				want.Name = args[0]
			}
			if !catalog.ValidID(want.Name) || len(want.Name) > 30 {
				return errs.Newf(errs.Usage, "create cluster %q: want lower-case words joined by dashes, at most 30 characters", want.Name)
			}
			if err := a.useFile(cmd, file, &want); err != nil {
				return err
			}
			if len(want.NodeGroups) == 0 && (want.Nodes < 1 || want.Nodes > 20) {
				return &flagError{errs.Newf(errs.Usage, "invalid --nodes %d: want 1 to 20", want.Nodes)}
			}
			definition, err := with.definition(a)
			if err != nil {
				return err
			}
			nodes := []string{"--nodes", strconv.Itoa(want.Nodes)}
			if file != "" {
				nodes = []string{"--file", a.path(file)}
			}
			argv := slices.Concat([]string{a.Executable, "supervise", want.Name}, nodes, []string{"--fidelity", want.Fidelity})
			return a.createCluster(cmd, want, argv, wait, with, definition)
		},
	}
	specFlags(cmd, &want)
	fileFlag(cmd, &file)
	with.register(a, cmd)
	cmd.Flags().DurationVar(&wait, "wait", wait, "how long to wait until it is ready")
	a.outputFlag(cmd, []string{render.Text, render.JSON, render.YAML}, render.Text)
	return cmd
}

func (a *app) createCluster(cmd *cobra.Command, want cluster.Spec, argv []string, wait time.Duration, with *appFlags, definition *workloads.Definition) error {
	if a.Executable == "" {
		return errs.Newf(errs.Infra, "create cluster: the path of this program is not known")
	}
	if err := a.preflight(cmd.Context(), "", 1); err != nil {
		return err
	}
	fmt.Fprintf(a.notes(), "creating cluster %q with %s ...\n", want.Name, plural(nodeCount(want), "node"))
	late := errs.Newf(errs.Infra, "create cluster %q: it was not ready after %s", want.Name, wait)
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), wait, late)
	defer cancel()
	began := time.Now()
	info, err := a.Backend.Clusters.Create(ctx, want, argv)
	if errors.Is(context.Cause(ctx), late) {
		return late
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.notes(), "cluster %q is ready after %.1fs\nuse it with:    kubectl --kubeconfig %s get nodes\ndelete it with: gameday delete cluster %s\n",
		info.Name, time.Since(began).Seconds(), info.Kubeconfig, info.Name)
	if err := a.install(ctx, with.addOns(), info); err != nil {
		return err
	}
	if definition != nil {
		if err := a.deployApp(ctx, with, definition, info); err != nil {
			return err
		}
	}
	if a.output != render.Text {
		return render.Object(a.Stdout, a.output, info)
	}
	_, err = fmt.Fprintln(a.Stdout, info.Kubeconfig)
	return err
}

func newSupervise(a *app) *cobra.Command {
	want, file := cluster.Spec{}, ""
	cmd := &cobra.Command{
		Use: "supervise NAME", Short: "Keep a cluster up (started by create cluster)", Hidden: true, Args: nameArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Name = args[0]
			if err := a.useFile(cmd, file, &want); err != nil {
				return err
			}
			return a.Backend.Clusters.Supervise(cmd.Context(), want, a.Stdout)
		},
	}
	specFlags(cmd, &want)
	fileFlag(cmd, &file)
	return cmd
}

func newDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete", Short: "Delete clusters", Long: "Delete what create has made, and what a killed run left behind.", GroupID: groupCluster,
		Example: "  gameday delete cluster demo\n  gameday delete cluster --all",
		Args:    unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeleteCluster(a))
	return cmd
}

func newDeleteCluster(a *app) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "cluster [NAME...]",
		Short: "Delete embedded clusters",
		Long: `End the processes of clusters and remove their directories. Deleting a cluster that does not exist is no error.
Without NAME it is the cluster called gameday.

--all deletes every cluster that was created, and what is left of clusters whose owner is gone; clusters of runs that
are still going are left alone.`,
		Example: "  gameday delete cluster\n  gameday delete cluster demo\n  gameday delete cluster --all",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames(func() []string {
			var names []string
			infos, _ := a.Backend.Clusters.List() // Completion has nobody to tell.
			for _, c := range infos {
				names = append(names, c.Name)
			}
			return names
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return &flagError{errs.Newf(errs.Usage, "give names or --all, not both")}
			case !all && len(args) == 0:
				args = []string{"gameday"}
			}
			return a.deleteClusters(cmd, args, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "delete every cluster that belongs to no run")
	return cmd
}

func (a *app) deleteClusters(cmd *cobra.Command, names []string, all bool) error {
	infos, err := a.Backend.Clusters.List()
	if err != nil {
		return err
	}
	var known []string
	for _, c := range infos {
		known = append(known, c.Name)
		if all && (c.Supervised || c.Status != "running") {
			names = append(names, c.Name)
		}
	}
	var failed []error
	for _, name := range names {
		if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
			failed = append(failed, errs.Newf(errs.Usage, "delete cluster %q: not a name", name))
			continue
		}
		if !slices.Contains(known, name) {
			fmt.Fprintf(a.notes(), "cluster %q does not exist\n", name)
			continue
		}
		if err := a.Backend.Clusters.Delete(cmd.Context(), name); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(a.notes(), "cluster %q is deleted\n", name)
	}
	return errors.Join(failed...)
}
