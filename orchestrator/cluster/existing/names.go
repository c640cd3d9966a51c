package existing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// What a run makes carries labels, and is found by them again. Agents see no label that begins with gameday.dev.
const (
	// OwnerLabel names the run: one value for everything that a process makes on a cluster.
	OwnerLabel = "gameday.dev/owner"
	// scopeLabel says how long something lasts: for a trial, or for the run.
	scopeLabel = "gameday.dev/scope"
	scopeTrial = "trial"
	scopeRun   = "run"

	// Home is the namespace of a run's claim and of its objects of Chaos Mesh.
	Home = "gameday-system"
)

// made is one object that has no namespace.
type made struct {
	resource schema.GroupVersionResource
	name     string
}

func (m made) String() string { return strings.TrimSuffix(m.resource.Resource, "s") + " " + m.name }

// checkNames looks whether something of somebody else has a name that a trial needs.
func (in *inspection) checkNames(ctx context.Context) preflight.Check {
	var mu sync.Mutex
	var taken []string
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, m := range in.clusterScoped() {
		group.Go(func() error {
			live, err := in.dynamic.Resource(m.resource).Get(ctx, m.name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
				return nil // A missing right is reported by the check of rights.
			}
			if err != nil {
				return fmt.Errorf("get %s: %w", m, err)
			}
			if live.GetLabels()[OwnerLabel] != "" {
				return nil // Something that a run has left: the check of the claim says so.
			}
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, m.String())
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return preflight.Failed("names", "see that the cluster is well, and try again", "%v", err)
	}
	if len(taken) > 0 {
		slices.Sort(taken)
		return preflight.Failed("names", "rename or remove them, or use another cluster; a virtual cluster in this one will do",
			"taken by somebody else: %s", strings.Join(taken, ", "))
	}
	return preflight.Passed("names", "namespaces %s and what goes with them are free", strings.Join(in.namespaces(), ", "))
}

// clusterScoped is everything without a namespace that a run makes, each once.
func (in *inspection) clusterScoped() []made {
	namespace := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	rbac := schema.GroupVersion{Group: rbacGroup, Version: "v1"}
	out := []made{
		{namespace, Home}, {rbac.WithResource("clusterroles"), proxy.User}, {rbac.WithResource("clusterrolebindings"), proxy.User},
	}
	if in.chaosAt == "" {
		out = append(out, made{namespace, in.provider.chaosNamespace()})
	}
	for _, ns := range in.namespaces() {
		out = append(out, made{namespace, ns})
	}
	for _, set := range in.sets {
		for _, u := range set {
			if u.GetNamespace() == "" { // Everything that has a namespace has been put into one.
				gvr, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
				out = append(out, made{gvr, u.GetName()})
			}
		}
	}
	slices.SortFunc(out, func(a, b made) int { return strings.Compare(a.resource.String()+a.name, b.resource.String()+b.name) })
	return slices.Compact(out)
}
