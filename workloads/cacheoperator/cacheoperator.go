// Package cacheoperator puts the cache operator on a cluster: its CustomResourceDefinition, its rights and its Deployment.
// The API is package v1alpha1; the program is package controller, and heavier.
package cacheoperator

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Namespace is where the operator lives, Name is its Deployment there, and MetricsPort is where it serves /metrics, /healthz
// and /readyz.
const (
	Namespace   = "cache-operator"
	Name        = "cache-operator"
	MetricsPort = 8080
)

// Image is the operator's image. It is named here, and not taken from the program's package, because that is heavy.
const Image = "registry.local/platform/cache-operator:v0.1.0"

//go:generate go run generate.go

//go:embed manifests/*.yaml
var files embed.FS

// Installation is the operator as an App. It deploys into Env.Namespace; there is one for a cluster.
type Installation struct{}

var _ workloads.App = Installation{}

// New returns the installation.
func New() Installation { return Installation{} }

// Deploy implements workloads.App.
func (i Installation) Deploy(ctx context.Context, env workloads.Env) error {
	set, err := i.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Apply(ctx, env.Dynamic)
}

// Ready implements workloads.App.
func (i Installation) Ready(ctx context.Context, env workloads.Env) error {
	set, err := i.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Ready(ctx, env.Dynamic, env.Kubernetes)
}

// Remove implements workloads.App. The caches of the cluster go with their definition.
func (i Installation) Remove(ctx context.Context, env workloads.Env) error {
	set, err := i.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Remove(ctx, env.Dynamic)
}

// Objects returns the objects in namespace, the namespace first.
func (Installation) Objects(namespace string) (objects.Set, error) {
	dir, err := fs.Sub(files, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	set, err := objects.Load(dir, map[string]string{
		"namespace": namespace, "image": Image, "name": Name, "metricsPort": fmt.Sprint(MetricsPort),
	})
	if err != nil {
		return nil, err
	}
	return set.In(namespace), nil
}
