package existing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Check looks at everything that a trial needs. It makes and changes nothing. Where the cluster cannot be spoken to, or must not
// be, what would come after is left out.
func (p *Provider) Check(ctx context.Context) []preflight.Check {
	_, checks, err := p.inspect(ctx)
	if err != nil {
		return append(checks, preflight.Check{Name: "context", Required: true, Detail: err.Error(), Hint: errs.HintOf(err)})
	}
	return checks
}

// CheckError is nil where every required check is right; else it says which are not, of party infra, with what to do as its hint.
func CheckError(contextName string, checks []preflight.Check) error {
	return preflight.Refuse("context "+contextName, "--cluster existing --context "+contextName, checks)
}

// inspection is one look at a cluster: the access to it, and what was found.
type inspection struct {
	*access
	provider *Provider
	kube     kubernetes.Interface
	dynamic  dynamic.Interface
	// sets are the objects of each application's stack.
	sets []objects.Set

	// nodes is how many nodes take pods; chaosAt is the namespace of Chaos Mesh, "" where there is none.
	nodes   int
	chaosAt string
}

// inspect makes all checks. The error is for what leaves nothing to check: a kubeconfig that cannot be read, an unknown context.
func (p *Provider) inspect(ctx context.Context) (*inspection, []preflight.Check, error) {
	a, err := p.access()
	if err != nil {
		return nil, nil, err
	}
	in := &inspection{access: a, provider: p}
	checks := []preflight.Check{preflight.Passed("context", "%s", a.target), p.checkProduction(a.target)}
	if !checks[1].OK {
		return in, checks, nil // Nothing is asked of a cluster that nobody wanted to be asked.
	}
	if in.kube, err = kubernetes.NewForConfig(a.rest); err != nil {
		return in, nil, fmt.Errorf("make client: %w", err)
	}
	if in.dynamic, err = dynamic.NewForConfig(a.rest); err != nil {
		return in, nil, fmt.Errorf("make dynamic client: %w", err)
	}
	if in.sets, err = p.sets(); err != nil {
		return in, nil, err
	}
	server := in.checkServer(ctx)
	checks = append(checks, server)
	if server.OK {
		chaos := in.checkChaos(ctx)
		checks = append(checks, in.checkRights(ctx), in.checkNames(ctx), in.checkClaim(ctx))
		checks = append(checks, in.checkNodes(ctx)...)
		checks = append(checks, in.checkStorage(ctx), chaos)
	}
	return in, append(checks, p.checkRegistry()), nil
}

// sets are the objects of the stack of each application, or those of the instruments where no application is given.
func (p *Provider) sets() ([]objects.Set, error) {
	tenancy := &cluster.Tenancy{Registry: p.Registry}
	if len(p.Apps) == 0 {
		set, err := stack.Objects(nil, "", tenancy)
		return []objects.Set{set}, err
	}
	var out []objects.Set
	for _, app := range p.Apps {
		set, err := stack.Objects(app, app.Namespace, tenancy)
		if err != nil {
			return nil, err
		}
		out = append(out, set)
	}
	return out, nil
}

// namespaces are those that trials will make, sorted.
func (in *inspection) namespaces() []string {
	out := slices.Concat(stack.Instruments(), in.provider.Namespaces)
	for _, app := range in.provider.Apps {
		out = append(out, app.Namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *Provider) checkProduction(t Target) preflight.Check {
	name := t.production()
	switch {
	case name == "":
		return preflight.Passed("not production", "no name looks like it")
	case p.AllowContext:
		return preflight.Passed("not production", "%q looks like it, and is allowed", name)
	}
	return preflight.Failed("not production", "choose another context, or, where you are sure, add --allow-context", "%q looks like production", name)
}

func (p *Provider) checkRegistry() preflight.Check {
	hint := "push the images with gameday images push REGISTRY, and add --registry REGISTRY"
	switch {
	case p.Registry == "":
		return preflight.Failed("registry", hint, "none is given, and the nodes have to pull the images from somewhere")
	case strings.Contains(p.Registry, "://") || strings.ContainsAny(p.Registry, " @") || strings.HasPrefix(p.Registry, "/"):
		return preflight.Failed("registry", "write it as in an image reference, for example ghcr.io/me/exercise", "%q is not a registry", p.Registry)
	case p.Registry == objects.Registry:
		return preflight.Passed("registry", "%s: nothing is pulled, every node has to hold the images that gameday images save writes", p.Registry)
	case strings.HasPrefix(p.Registry, objects.Registry+"/"):
		return preflight.Failed("registry", hint, "%q is the name in the manifests, which nothing serves", p.Registry)
	}
	return preflight.Passed("registry", "%s", p.Registry)
}
