// Package addon is for what a cluster gets once, besides its applications: an ingress controller, an operator. An add-on is a
// set of manifests.
package addon

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Addon is an App that is nothing but manifests. It deploys into Env.Namespace.
type Addon struct {
	// Files has the manifests in its directory manifests; see objects.Load for their order.
	Files fs.FS
	// Vars are what ${name} in a manifest stands for; namespace is added.
	Vars map[string]string
}

var _ workloads.App = Addon{}

// Deploy implements workloads.App.
func (a Addon) Deploy(ctx context.Context, env workloads.Env) error {
	set, err := a.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.PullFrom(env.Registry).Apply(ctx, env.Dynamic)
}

// Ready implements workloads.App.
func (a Addon) Ready(ctx context.Context, env workloads.Env) error {
	set, err := a.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Ready(ctx, env.Dynamic, env.Kubernetes)
}

// Remove implements workloads.App. What the add-on's own definitions define goes with them.
func (a Addon) Remove(ctx context.Context, env workloads.Env) error {
	set, err := a.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Remove(ctx, env.Dynamic)
}

// Objects returns the objects in namespace, in the order of the manifests.
func (a Addon) Objects(namespace string) (objects.Set, error) {
	dir, err := fs.Sub(a.Files, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	vars := map[string]string{"namespace": namespace}
	for name, value := range a.Vars {
		vars[name] = value
	}
	set, err := objects.Load(dir, vars)
	if err != nil {
		return nil, err
	}
	return set.In(namespace), nil
}
