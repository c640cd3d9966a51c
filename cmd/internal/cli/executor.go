package cli

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/orchestrator/images"
	"github.com/gameday-bench/gameday/orchestrator/scaleout"
	"github.com/gameday-bench/gameday/results"
)

// Where trials are played.
const (
	byLocal      = "local"
	byKubernetes = "kubernetes"
)

// executorFlags say where the trials of a run are played, whatever kind of cluster they have.
type executorFlags struct {
	name, storage, resources string
	workers                  int
}

// executorOnly are the flags that go with --executor kubernetes alone.
func executorOnly() []string { return []string{"workers", "storage", "worker-resources"} }

// executorShares are the flags of clusters that say which cluster the workers run on, and how it gets their image.
func executorShares() []string {
	return []string{"context", "kubeconfig", "allow-context", "registry", "engine"}
}

func (f *executorFlags) register(cmd *cobra.Command) {
	enumFlag(cmd, &f.name, "executor", byLocal, "executor", "where trials are played", []string{byKubernetes, byLocal})
	flags := cmd.Flags()
	flags.IntVar(&f.workers, "workers", 0, "kubernetes: trials at a time, each in a pod (default: one for each node)")
	flags.StringVar(&f.storage, "storage", "pvc", "kubernetes: where tries are until they are gathered: pvc, pvc:CLASS or s3://BUCKET/PREFIX")
	flags.StringVar(&f.resources, "worker-resources", "", "kubernetes: what each pod asks for (default cpu=1,memory=3Gi)")
	_ = cmd.RegisterFlagCompletionFunc("storage", cobra.FixedCompletions([]string{"pvc", "pvc:", "s3://"}, cobra.ShellCompDirectiveNoFileComp))
	for _, name := range append(executorOnly(), "executor") {
		_ = flags.SetAnnotation(name, clusterAnnotation, []string{"true"}) // It fails for flags that are not there only.
	}
}

// exempt are the flags of clusters that the executor uses.
func (f *executorFlags) exempt() []string {
	if f.name == byKubernetes {
		return executorShares()
	}
	return nil
}

// spec is what the flags say, as it is recorded; nil where trials are played by this process. What is wrong is of party usage.
func (f *executorFlags) spec(a *app, cmd *cobra.Command, clusters *clusterFlags, on string) (*results.Executor, error) {
	if f.name != byKubernetes {
		for _, name := range executorOnly() {
			if cmd.Flags().Changed(name) {
				return nil, &flagError{errs.Newf(errs.Usage, "--%s goes with --executor kubernetes", name)}
			}
		}
		return nil, nil // Nothing is wrong, and nobody else plays them.
	}
	switch {
	case on != onEmbedded:
		return nil, &flagError{errs.Hint(errs.Newf(errs.Usage, "--executor kubernetes goes with --cluster embedded, not with --cluster %s", on),
			"each of its pods has an embedded cluster of its own")}
	case clusters.context == "":
		return nil, &flagError{errs.Hint(errs.Newf(errs.Usage, "--executor kubernetes needs --context: the current context is never taken"),
			"see the contexts with: kubectl config get-contexts")}
	case f.workers < 0:
		return nil, &flagError{errs.Newf(errs.Usage, "invalid --workers %d: want 1 or more", f.workers)}
	}
	return &results.Executor{
		Kind: byKubernetes, Kubeconfig: a.fileOf(clusters.kubeconfig), Context: clusters.context, Workers: f.workers, Storage: f.storage,
		Resources: f.resources, Registry: clusters.registry,
	}, nil
}

// recallExecutor takes what the command line does not give from the record of a run.
func (f *clusterFlags) recallExecutor(cmd *cobra.Command, spec *results.Executor) {
	for _, flag := range []struct {
		name     string
		value    *string
		recorded string
	}{{"kubeconfig", &f.kubeconfig, spec.Kubeconfig}, {"context", &f.context, spec.Context}, {"registry", &f.registry, spec.Registry}} {
		if !cmd.Flags().Changed(flag.name) {
			*flag.value = flag.recorded
		}
	}
}

// executor makes what plays the trials of a run elsewhere; nil for nil. It sends nothing. agentNames are the agents of the run, which
// may want variables of this process.
func (a *app) executor(spec *results.Executor, f *clusterFlags, agentNames []string) (*scaleout.Executor, error) {
	if spec == nil {
		return nil, nil // This process plays them.
	}
	storage, err := scaleout.ParseStorage(spec.Storage, a.LookupEnv)
	if err != nil {
		return nil, err
	}
	resources, err := scaleout.ParseResources(spec.Resources)
	if err != nil {
		return nil, err
	}
	to, err := scaleout.Connect(a.fileOf(f.kubeconfig), f.context)
	if err != nil {
		return nil, err
	}
	image, err := f.harness()
	if err != nil {
		return nil, err
	}
	e := &scaleout.Executor{
		Cluster: to, Storage: storage, Workers: spec.Workers, Resources: resources, Image: image, Env: map[string]string{}, Log: a.logger(),
	}
	for _, pack := range a.packs {
		e.Packs = append(e.Packs, a.path(pack))
	}
	for _, name := range agentNames {
		info, err := agents.Lookup(name)
		if err != nil {
			return nil, err
		}
		for _, variable := range info.Env {
			if value, ok := a.LookupEnv(variable); ok {
				e.Env[variable] = value
			}
		}
	}
	return e, nil
}

// harness is how the nodes get the image of the harness: from a registry or, on a kind cluster of this machine, from us.
func (f *clusterFlags) harness() (func(context.Context) (string, error), error) {
	cluster, local := kind.ClusterOf(f.context)
	if f.registry != "" {
		if _, err := images.Reference(f.registry, images.HarnessRepository+":1"); err != nil {
			return nil, err
		}
	} else if !local {
		return nil, errs.Hint(errs.Newf(errs.Usage, "--executor kubernetes needs --registry: the nodes of %s have to pull the image of the harness from somewhere", f.context),
			"name one that you may push to and they can pull from, for example --registry ghcr.io/me/exercise")
	}
	var once sync.Once
	var set *images.Set
	var made error
	return func(ctx context.Context) (string, error) {
		// It is made once: that takes seconds.
		if once.Do(func() { set, made = images.Harness(ctx, "") }); made != nil {
			return "", made
		}
		if f.registry == "" {
			return set.List()[0].Ref, kind.Give(ctx, f.engine, cluster, set)
		}
		pushed, err := set.Push(ctx, f.registry, images.PushOptions{})
		if err != nil {
			return "", err
		}
		return pushed[0].Ref, nil
	}, nil
}

// examineExecutor has the doctor look at what an executor needs, in place of what a cluster on this machine would.
func (f *clusterFlags) examineExecutor(e *scaleout.Executor, o doctor.Options) doctor.Options {
	name := e.Cluster.Context
	o.Subject, o.Flags = "context "+name, "--executor kubernetes --context "+name
	o.Cluster = func(ctx context.Context) []doctor.Check {
		allowed := productionCheck(e.Cluster, f.allowContext)
		if !allowed.OK {
			return []doctor.Check{allowed} // Nothing is asked of a cluster that nobody wanted to be asked.
		}
		return append([]doctor.Check{allowed}, e.Check(ctx)...)
	}
	return o
}

// productionCheck refuses a cluster that looks like production, unless that is allowed.
func productionCheck(c *scaleout.Cluster, allowed bool) doctor.Check {
	check := doctor.Check{Name: "not production", OK: true, Required: true, Detail: "no name looks like it"}
	host := c.Server
	if u, err := url.Parse(c.Server); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	names := []string{c.Context, host}
	i := slices.IndexFunc(names, existing.LooksLikeProduction)
	switch {
	case i < 0:
	case allowed:
		check.Detail = fmt.Sprintf("%q looks like it, and is allowed", names[i])
	default:
		check.OK, check.Detail = false, fmt.Sprintf("%q looks like production", names[i])
		check.Hint = "choose another context, or, where you are sure, add --allow-context"
	}
	return check
}

// ready refuses to start what cannot work, wherever the trials are played. e is nil where that is this process.
func (a *app) ready(ctx context.Context, e *scaleout.Executor, f *clusterFlags, c *catalogs, on target, out string) error {
	if e == nil {
		return a.preflight(ctx, f, c, on, out)
	}
	options := f.examineExecutor(e, doctor.Options{OutDir: out, Quick: true})
	return options.Refuse(a.Backend.Doctor(ctx, options))
}

// executorText says in a line where the trials of a run are played; "" for this machine.
func executorText(e *results.Executor) string {
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("%s, context %s", e.Kind, e.Context)
	if e.Server != "" {
		text += " (" + e.Server + ")"
	}
	return text + ", storage " + e.Storage
}

// placementText says in a line where a try was played; "" for this machine.
func placementText(d *results.Data, r results.TrialRecord) string {
	p, err := results.ReadPlacement(filepath.Join(d.Dir, filepath.FromSlash(r.Dir)))
	if err != nil {
		return "" // It was played here.
	}
	return fmt.Sprintf("pod %s of namespace %s, node %s: %d CPUs, %d MiB", p.Pod, p.Namespace, p.Node, p.Host.CPUs, p.Host.MemoryBytes>>20)
}
