package kind

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/constants"
	kindnodes "sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/scratch"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// contextPrefix begins the contexts that kind writes into kubeconfigs; what follows is what kind calls the cluster.
const contextPrefix = "kind-"

// ClusterOf is what kind calls the cluster of a context of a kubeconfig. It is false for a context that is not kind's.
func ClusterOf(context string) (string, bool) {
	name, ok := strings.CutPrefix(context, contextPrefix)
	if !ok || name == "" {
		return "", false
	}
	return name, true
}

// Give puts the images of set on every node of a kind cluster that takes pods, whoever made the cluster; name is what kind calls it.
// engine is one of Engines, or empty for the one that has the cluster. Nodes that have the images already, and those that do not run,
// are left as they are. Errors are of party infra: no engine of this machine has the cluster, a node does not take an image.
func Give(ctx context.Context, engineName, name string, set *images.Set) error {
	e, containers, err := findCluster(ctx, engineName, name)
	if err != nil {
		return err
	}
	err = bounded(ctx, name, containers, func() error { return e.give(ctx, name, set) })
	if err != nil && errs.PartyOf(err) == "" {
		err = errs.With(errs.Infra, err)
	}
	if err != nil {
		return fmt.Errorf("give images to kind cluster %s: %w", name, err)
	}
	return nil
}

// findCluster is the engine that has the containers of a cluster.
func findCluster(ctx context.Context, engineName, name string) (engine, []string, error) {
	engines := installed()
	if engineName != "" {
		engines = []engine{{engineName}}
	}
	var first error
	for _, e := range engines {
		found, err := e.containers(ctx, name)
		if err != nil && first == nil {
			first = e.explain(fmt.Errorf("look for kind cluster %s: %w", name, err))
		}
		if err == nil && len(found) > 0 {
			return e, found, nil
		}
	}
	if first != nil {
		return engine{}, nil, first
	}
	return engine{}, nil, errs.Hint(errs.Newf(errs.Infra, "look for kind cluster %s: no container engine of this machine has it", name),
		"have the nodes pull from a registry: --registry REGISTRY")
}

func (e engine) give(ctx context.Context, name string, set *images.Set) error {
	provider := kindcluster.NewProvider(e.option())
	lacking, err := e.lacking(ctx, provider, name, set)
	if err != nil || len(lacking) == 0 {
		return err
	}
	dir, err := scratch.MakeTemp("gameday-images-")
	if err != nil {
		return err
	}
	archive := filepath.Join(dir.Path(), "images.tar")
	if err = set.Save(ctx, archive); err == nil {
		var group errgroup.Group
		group.SetLimit(max(runtime.GOMAXPROCS(0), 2))
		for _, n := range lacking {
			group.Go(func() error { return loadInto(n, archive) })
		}
		err = group.Wait()
	}
	if removed := dir.Remove(); err == nil {
		err = removed
	}
	return err
}

// lacking are the running nodes for pods that do not have all images of set.
func (e engine) lacking(ctx context.Context, provider *kindcluster.Provider, name string, set *images.Set) ([]kindnodes.Node, error) {
	all, err := provider.ListInternalNodes(name)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var names []string
	for _, n := range all {
		names = append(names, n.String())
	}
	states, err := e.states(ctx, names)
	if err != nil {
		return nil, err
	}
	var workers, planes []kindnodes.Node
	for _, n := range all {
		if !states[n.String()].running() {
			continue
		}
		role, err := n.Role()
		if err != nil {
			return nil, fmt.Errorf("read role of node %s: %w", n, err)
		}
		if role == constants.WorkerNodeRoleValue {
			workers = append(workers, n)
		} else {
			planes = append(planes, n)
		}
	}
	if len(workers) == 0 { // Then the control plane takes pods.
		workers = planes
	}
	return slices.DeleteFunc(workers, func(n kindnodes.Node) bool { return hasAll(n, set) }), nil
}

// hasAll reports whether a node has all images of set. One that cannot tell is given them.
func hasAll(n kindnodes.Node, set *images.Set) bool {
	for _, image := range set.List() {
		if id, err := nodeutils.ImageID(n, image.Ref); err != nil || id != image.ID {
			return false
		}
	}
	return true
}
