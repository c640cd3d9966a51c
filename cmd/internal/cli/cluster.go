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

// specFlags are what describes a cluster that gameday makes; create and supervise share them.
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
		return nil, errs.Hint(errs.With(errs.Usage, fmt.Errorf("read cluster file: %w", err)), "docs/files.md says what stands in one")
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

const createLong = `Create a Kubernetes cluster and keep it until it is deleted. Without NAME it is called gameday.

With --cluster embedded, the default, its processes run as this user, without root or Docker. With --cluster kind its
nodes are containers of Docker, Podman or nerdctl, with the images of all programs and a Chaos Mesh that works. The
kubeconfig is written into the cluster's own directory; your own ~/.kube/config is never touched. The command prints the
path of the kubeconfig.

--file names a cluster file: the nodes, their sizes, labels, taints, devices and eviction thresholds. On kind, nodes have
no sizes or devices of their own.`

// createFlags are the flags of create cluster.
type createFlags struct {
	want     cluster.Spec
	file     string
	on       string
	wait     time.Duration
	clusters clusterFlags
	with     appFlags
}

// The time that a cluster has to become ready, by default: kind may have a node image to pull.
const (
	createWait     = 3 * time.Minute
	createWaitKind = 15 * time.Minute
)

func newCreateCluster(a *app) *cobra.Command {
	f := &createFlags{}
	cmd := &cobra.Command{
		Use:   "cluster [NAME]",
		Short: "Create a cluster that stays up",
		Long:  createLong,
		Example: "  gameday create cluster\n  gameday create cluster demo --nodes 5 --fidelity production\n  gameday create cluster demo --file nodes.yaml\n" +
			"  gameday create cluster demo --app hotel --rate 100 --ingress\n  gameday create cluster demo --cluster kind --engine docker\n" +
			"  KUBECONFIG=$(gameday create cluster demo) kubectl get nodes",
		Args: nameArgs(0, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.want.Name = "gameday"
			if len(args) == 1 {
				f.want.Name = args[0]
			}
			return a.create(cmd, f)
		},
	}
	specFlags(cmd, &f.want)
	fileFlag(cmd, &f.file)
	enumFlag(cmd, &f.on, "cluster", onEmbedded, "cluster provider", "kind of cluster", providerNames())
	f.clusters.registerMade(cmd)
	f.with.register(a, cmd)
	cmd.Flags().DurationVar(&f.wait, "wait", createWait, "how long to wait until it is ready (kind: 15m0s)")
	a.outputFlag(cmd, []string{render.Text, render.JSON, render.YAML}, render.Text)
	return cmd
}

// nodes settles what nodes a cluster that gameday makes has, from --nodes, --file and --kind-config.
func (a *app) nodes(cmd *cobra.Command, f *createFlags) error {
	if err := a.useFile(cmd, f.file, &f.want); err != nil {
		return err
	}
	switch {
	case f.on == onExisting:
		return &flagError{errs.Hint(errs.Newf(errs.Usage, "--cluster existing: a cluster that is there is not created"),
			"use it with: gameday run --cluster existing --context NAME")}
	case f.clusters.kindConfig != "" && (f.file != "" || cmd.Flags().Changed("nodes")):
		return &flagError{errs.Newf(errs.Usage, "give --kind-config, or --nodes or --file, not both")}
	case f.clusters.kindConfig != "":
		f.want.Nodes = 0
	case len(f.want.NodeGroups) == 0 && (f.want.Nodes < 1 || f.want.Nodes > 20):
		return &flagError{errs.Newf(errs.Usage, "invalid --nodes %d: want 1 to 20", f.want.Nodes)}
	}
	return f.clusters.check(cmd, f.on)
}

func (a *app) create(cmd *cobra.Command, f *createFlags) error {
	if !catalog.ValidID(f.want.Name) || len(f.want.Name) > 30 {
		return errs.Newf(errs.Usage, "create cluster %q: want lower-case words joined by dashes, at most 30 characters", f.want.Name)
	}
	if err := a.nodes(cmd, f); err != nil {
		return err
	}
	definition, err := f.with.definition(a)
	if err != nil {
		return err
	}
	if f.on == onKind && !cmd.Flags().Changed("wait") {
		f.wait = createWaitKind
	}
	return a.createCluster(cmd, f, definition)
}

// supervisor is the command line that keeps the cluster up.
func (a *app) supervisor(f *createFlags) []string {
	argv := []string{a.Executable, "supervise", f.want.Name}
	switch {
	case f.file != "":
		argv = append(argv, "--file", a.path(f.file))
	case f.want.Nodes != 0:
		argv = append(argv, "--nodes", strconv.Itoa(f.want.Nodes))
	}
	argv = append(argv, "--fidelity", f.want.Fidelity)
	if f.on == onEmbedded {
		return argv
	}
	return slices.Concat(argv, []string{"--cluster", f.on}, f.clusters.arguments(a))
}

func (a *app) createCluster(cmd *cobra.Command, f *createFlags, definition *workloads.Definition) error {
	if a.Executable == "" {
		return errs.Newf(errs.Infra, "create cluster: the path of this program is not known")
	}
	if err := a.preflight(cmd.Context(), &f.clusters, nil, target{kind: f.on, want: f.want, clusters: 1}, ""); err != nil {
		return err
	}
	nodes := plural(nodeCount(f.want), "node")
	if f.clusters.kindConfig != "" {
		nodes = "the nodes of " + f.clusters.kindConfig
	}
	fmt.Fprintf(a.notes(), "creating cluster %q with %s ...\n", f.want.Name, nodes)
	late := errs.Newf(errs.Infra, "create cluster %q: it was not ready after %s", f.want.Name, f.wait)
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), f.wait, late)
	defer cancel()
	began := time.Now()
	info, err := a.Backend.Clusters.Create(ctx, f.want, a.supervisor(f))
	if errors.Is(context.Cause(ctx), late) {
		return late
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.notes(), "cluster %q is ready after %.1fs\nuse it with:    kubectl --kubeconfig %s get nodes\ndelete it with: gameday delete cluster %s\n",
		info.Name, time.Since(began).Seconds(), info.Kubeconfig, info.Name)
	if err := a.install(ctx, f.with.addOns(), info); err != nil {
		return err
	}
	if definition != nil {
		if err := a.deployApp(ctx, &f.with, definition, info); err != nil {
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
	f := &createFlags{}
	cmd := &cobra.Command{
		Use: "supervise NAME", Short: "Keep a cluster up (started by create cluster)", Hidden: true, Args: nameArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.want.Name = args[0]
			if err := a.nodes(cmd, f); err != nil {
				return err
			}
			provider := f.clusters.providers(a, nil)[f.on]
			if f.on == onKind { // It is not to be used again by anybody else.
				provider = f.clusters.kindProvider(a)
			}
			return a.Backend.Clusters.Supervise(cmd.Context(), provider, f.want, a.Stdout)
		},
	}
	specFlags(cmd, &f.want)
	fileFlag(cmd, &f.file)
	enumFlag(cmd, &f.on, "cluster", onEmbedded, "cluster provider", "kind of cluster", providerNames())
	f.clusters.registerMade(cmd)
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
