package cli

import (
	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
)

// existingCluster is the name of the provider for clusters that are there already.
const existingCluster = "existing"

// existingFlags say which cluster that is there already is meant, and what may be done with it.
type existingFlags struct {
	context      string
	kubeconfig   string
	allowContext bool
	allowCordon  bool
	registry     string
	chart        string
	images       string
}

// existingFlagNames are the names of the flags, for those that check them.
func existingFlagNames() []string {
	return []string{"context", "kubeconfig", "allow-context", "allow-cordon", "registry", "chaos-mesh-chart", "chaos-mesh-images"}
}

func (f *existingFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig (with --cluster existing; the current one is never taken)")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file (default: KUBECONFIG, then ~/.kube/config)")
	flags.BoolVar(&f.allowContext, "allow-context", false, "use a context although it looks like production")
	flags.BoolVar(&f.allowCordon, "allow-cordon", false, "let agents cordon nodes until the end of the trial")
	flags.StringVar(&f.registry, "registry", "", "registry from which the nodes pull the images, as pushed by gameday images push")
	flags.StringVar(&f.chart, "chaos-mesh-chart", "", "chart of Chaos Mesh, where it is not installed (default: the pinned one)")
	flags.StringVar(&f.images, "chaos-mesh-images", "", "images of Chaos Mesh (default: those of the chart)")
	_ = cmd.MarkFlagFilename("kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc("context", cobra.NoFileCompletions)
}

// check refuses flags that have no meaning for another kind of cluster.
func (f *existingFlags) check(cmd *cobra.Command, kind string) error {
	if kind == existingCluster {
		return nil
	}
	for _, name := range existingFlagNames() {
		if cmd.Flags().Changed(name) {
			return &flagError{errs.Newf(errs.Usage, "--%s goes with --cluster existing, not with --cluster %s", name, kind)}
		}
	}
	return nil
}

// provider makes the provider. There must be room for every application of the catalogues.
func (f *existingFlags) provider(a *app, c *catalogs) *existing.Provider {
	p := &existing.Provider{
		Context: f.context, AllowContext: f.allowContext, AllowCordon: f.allowCordon, Registry: f.registry,
		Chaos: chaosmesh.Options{Chart: f.chart, Images: f.images}, Log: a.logger(),
	}
	if f.kubeconfig != "" {
		p.Kubeconfig = a.path(f.kubeconfig)
	}
	if c != nil {
		p.Apps = c.apps.All()
	}
	return p
}
