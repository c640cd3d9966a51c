package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/reuse"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// The kinds of clusters.
const (
	onEmbedded = "embedded"
	onKind     = "kind"
	onExisting = "existing"
)

// providerNames are the kinds of clusters, for flags and scenarios.
func providerNames() []string { return []string{onEmbedded, onExisting, onKind} }

// clusterFlags say what each kind of cluster needs to know. A flag of one kind is refused with another.
type clusterFlags struct {
	// kind
	engine, nodeImage, kindConfig string
	fresh                         bool
	// existing
	context, kubeconfig, registry string
	allowContext, allowCordon     bool
	// both
	chart, images string

	set  func() (*images.Set, error)
	made *kind.Provider
}

// clusterAnnotation marks the flags of clusterFlags: a command has them as a group.
const clusterAnnotation = "gameday.dev/cluster"

// kindsOf are the kinds of clusters that each flag goes with.
func kindsOf() map[string][]string {
	return map[string][]string{
		"engine": {onKind}, "node-image": {onKind}, "kind-config": {onKind}, "fresh": {onKind},
		"context": {onExisting}, "kubeconfig": {onExisting}, "registry": {onExisting}, "allow-context": {onExisting}, "allow-cordon": {onExisting},
		"chaos-mesh-chart": {onKind, onExisting}, "chaos-mesh-images": {onKind, onExisting},
	}
}

// registerMade adds the flags for clusters that gameday makes.
func (f *clusterFlags) registerMade(cmd *cobra.Command) {
	flags := cmd.Flags()
	enumFlag(cmd, &f.engine, "engine", "", "container engine", "kind: container engine of the nodes (default: the first that answers)", kind.Engines())
	flags.StringVar(&f.nodeImage, "node-image", "", "kind: image of the nodes (default: the pinned one)")
	flags.StringVar(&f.kindConfig, "kind-config", "", "kind: configuration file of kind's, which then says what nodes there are")
	flags.StringVar(&f.chart, "chaos-mesh-chart", "", "kind, existing: chart of Chaos Mesh, a directory, .tgz file or URL (default: the pinned one)")
	flags.StringVar(&f.images, "chaos-mesh-images", "", "kind, existing: registry of Chaos Mesh's images; for kind also an archive of them")
	_ = cmd.MarkFlagFilename("kind-config", "yaml", "yml")
	f.mark(cmd)
}

// registerAccess adds the flags that say which cluster that is there is meant.
func (f *clusterFlags) registerAccess(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.context, "context", "", "existing: context of the kubeconfig; the current one is never taken")
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "existing: kubeconfig file (default: KUBECONFIG, then ~/.kube/config)")
	_ = cmd.MarkFlagFilename("kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc("context", cobra.NoFileCompletions)
	f.mark(cmd)
}

// register adds the flags for every kind of cluster.
func (f *clusterFlags) register(cmd *cobra.Command) {
	f.registerMade(cmd)
	f.registerAccess(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.fresh, "fresh", false, "kind: a new cluster for each trial, in place of one that is proven to be clean in between")
	flags.StringVar(&f.registry, "registry", "", "existing: registry from which the nodes pull the images, as pushed by gameday images push; registry.local: they hold them already")
	flags.BoolVar(&f.allowContext, "allow-context", false, "existing: use a context although it looks like production")
	flags.BoolVar(&f.allowCordon, "allow-cordon", false, "existing: let agents cordon nodes until the end of the trial")
	f.mark(cmd)
}

func (f *clusterFlags) mark(cmd *cobra.Command) {
	for name := range kindsOf() {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.Flags().SetAnnotation(name, clusterAnnotation, []string{"true"}) // It fails for flags that are not there only.
		}
	}
}

// check refuses flags that say nothing to this kind of cluster, and a kind that lacks what it needs. An empty kind stands for all that gameday
// makes. The flags in exempt are there for something else.
func (f *clusterFlags) check(cmd *cobra.Command, chosen string, exempt ...string) error {
	var wrong error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		kinds, ours := kindsOf()[flag.Name]
		if wrong == nil && ours && !slices.Contains(kinds, chosen) && !slices.Contains(exempt, flag.Name) {
			text := fmt.Sprintf("--%s goes with --cluster %s", flag.Name, strings.Join(kinds, " or "))
			if chosen != "" {
				text += ", not with --cluster " + chosen
			}
			wrong = &flagError{errs.With(errs.Usage, errors.New(text))}
		}
	})
	if wrong != nil {
		return wrong
	}
	if chosen == onExisting && f.context == "" {
		return &flagError{errs.Hint(errs.Newf(errs.Usage, "--cluster existing needs --context: the current context is never taken"),
			"see the contexts with: kubectl config get-contexts")}
	}
	return nil
}

// recall takes what the command line does not give from the line that a run was started with.
func (f *clusterFlags) recall(cmd *cobra.Command, argv []string) {
	before := &clusterFlags{}
	old := &cobra.Command{}
	before.register(old)
	old.Flags().ParseErrorsAllowlist = pflag.ParseErrorsAllowlist{UnknownFlags: true}
	if len(argv) == 0 || old.Flags().Parse(argv[1:]) != nil {
		return // What is missing is then asked for.
	}
	old.Flags().Visit(func(flag *pflag.Flag) {
		if now := cmd.Flags().Lookup(flag.Name); now != nil && !now.Changed {
			_ = now.Value.Set(flag.Value.String()) // It was valid when the run was started.
		}
	})
}

// arguments are the flags again, for another command line. Paths are absolute.
func (f *clusterFlags) arguments(a *app) []string {
	var out []string
	for _, arg := range [][2]string{
		{"--engine", f.engine}, {"--node-image", f.nodeImage}, {"--kind-config", a.fileOf(f.kindConfig)},
		{"--chaos-mesh-chart", a.localOf(f.chart)}, {"--chaos-mesh-images", a.localOf(f.images)},
	} {
		if arg[1] != "" {
			out = append(out, arg[0], arg[1])
		}
	}
	return out
}

// fileOf is a path from the working directory; "" stays "".
func (a *app) fileOf(path string) string {
	if path == "" {
		return ""
	}
	return a.path(path)
}

// localOf is fileOf for what may also be the address of something elsewhere.
func (a *app) localOf(place string) string {
	path := a.fileOf(place)
	if _, err := os.Stat(path); err != nil {
		return place
	}
	return path
}

// chaos says how Chaos Mesh is installed.
func (f *clusterFlags) chaos(a *app) chaosmesh.Options {
	return chaosmesh.Options{Chart: a.localOf(f.chart), Images: a.localOf(f.images), Log: a.logger()}
}

// kindProvider is the provider of kind clusters, with the images of the programs. It is one and the same for a command: what it has found out about
// the machine before the run holds in the run.
func (f *clusterFlags) kindProvider(a *app) *kind.Provider {
	if f.made == nil {
		f.made = &kind.Provider{
			Engine: f.engine, NodeImage: f.nodeImage, Config: a.fileOf(f.kindConfig), Images: f.programs(), Chaos: f.chaos(a), Log: a.logger(),
		}
	}
	return f.made
}

// programs are the images of the programs. They are made once: that takes seconds.
func (f *clusterFlags) programs() func() (*images.Set, error) {
	if f.set == nil {
		f.set = sync.OnceValues(func() (*images.Set, error) { return images.Find("") })
	}
	return f.set
}

// existingProvider makes the provider of a cluster that is there. There must be room for every application of the catalogues.
func (f *clusterFlags) existingProvider(a *app, c *catalogs) *existing.Provider {
	p := &existing.Provider{
		Kubeconfig: a.fileOf(f.kubeconfig), Context: f.context, AllowContext: f.allowContext, AllowCordon: f.allowCordon, Registry: f.registry,
		Chaos: f.chaos(a), Log: a.logger(),
	}
	if c != nil {
		p.Apps = c.apps.All()
	}
	return p
}

// providers are the kinds of clusters.
func (f *clusterFlags) providers(a *app, c *catalogs) map[string]cluster.Provider {
	made := f.kindProvider(a)
	var kept cluster.Provider = made
	if !f.fresh {
		kept = &reuse.Provider{Base: made, Log: a.logger()}
	}
	return map[string]cluster.Provider{onEmbedded: &embedded.Provider{Log: a.logger()}, onKind: kept, onExisting: f.existingProvider(a, c)}
}

// target is the kind of cluster that a command is about: so many of them at a time.
type target struct {
	kind     string
	want     cluster.Spec
	clusters int
}

// examine has the doctor look at what a target needs.
func (f *clusterFlags) examine(a *app, c *catalogs, t target, o doctor.Options) (doctor.Options, error) {
	o.Concurrency = t.clusters
	switch t.kind {
	case onKind:
		p := f.kindProvider(a)
		if err := p.Validate(t.want); err != nil {
			return o, err
		}
		o.Flags = "--cluster kind"
		o.Cluster = func(ctx context.Context) []doctor.Check { return p.Check(ctx, t.want, t.clusters) }
	case onExisting:
		p := f.existingProvider(a, c)
		o.Subject, o.Flags = "context "+f.context, "--cluster existing --context "+f.context
		o.Cluster = p.Check
	}
	return o, nil
}

// closeLimit bounds how long providers may take to let go of what they keep between trials.
const closeLimit = 5 * time.Minute

// closeProviders has the providers take down what they keep between trials, also after an interruption.
func closeProviders(ctx context.Context, runner *orchestrator.Runner) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	var all []error
	for _, name := range providerNames() {
		keeper, ok := runner.Providers[name].(interface {
			Close(ctx context.Context) error
		})
		if !ok {
			continue
		}
		if err := keeper.Close(ctx); err != nil {
			all = append(all, errs.With(errs.Infra, fmt.Errorf("close %s clusters: %w", name, err)))
		}
	}
	return errors.Join(all...)
}
