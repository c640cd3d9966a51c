// Package ingress puts an ingress controller on a cluster: the objects with which ingress-nginx is installed. The program
// itself is package controller, and heavier.
package ingress

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Namespace is where the controller lives, Service is its Service there, Class is the name of its IngressClass, and
// MetricsPort is where it serves /metrics and /healthz.
const (
	Namespace   = "ingress-nginx"
	Service     = "ingress-nginx-controller"
	Class       = "nginx"
	MetricsPort = 10254
)

// ControllerImage is the controller's image. It is named here, and not taken from the program's package, because that is heavy.
const ControllerImage = "registry.local/ingress-nginx/controller:v1.13.3"

//go:embed manifests/*.yaml
var files embed.FS

// Installation is the controller as an App. It deploys into Env.Namespace; there is one for a cluster.
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

// Remove implements workloads.App.
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
		"namespace": namespace, "image": ControllerImage, "service": Service, "class": Class, "metricsPort": fmt.Sprint(MetricsPort),
	})
	if err != nil {
		return nil, err
	}
	return set.In(namespace), nil
}
