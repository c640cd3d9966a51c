package workloads

import (
	"context"
	"fmt"
	"io/fs"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads/objects"
)

// Manifests is an App that is a directory of Kubernetes manifests, in one namespace that Deploy makes and Remove deletes.
// ${name} in them stands for Values[name]; ${namespace} is always there. It is ready when every Deployment, StatefulSet
// and DaemonSet is available and every Job is complete.
type Manifests struct {
	Dir    fs.FS
	Values map[string]string
}

var _ App = Manifests{}

// App returns the application that the definition describes.
func (d *Definition) App(values map[string]string) (App, error) {
	dir, err := fs.Sub(d.Dir, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests of %s: %w", d.Path, err)
	}
	return Manifests{Dir: dir, Values: values}, nil
}

// Objects returns the objects of the manifests in namespace, which is the first of them.
func (m Manifests) Objects(namespace string) (objects.Set, error) {
	values := map[string]string{}
	maps.Copy(values, m.Values)
	values["namespace"] = namespace
	set, err := objects.Load(m.Dir, values)
	if err != nil {
		return nil, err
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	ns.SetName(namespace)
	return append(objects.Set{ns}, set...).In(namespace), nil
}

// Deploy implements App.
func (m Manifests) Deploy(ctx context.Context, env Env) error {
	set, err := m.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.PullFrom(env.Registry).Apply(ctx, env.Dynamic)
}

// Ready implements App.
func (m Manifests) Ready(ctx context.Context, env Env) error {
	set, err := m.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Ready(ctx, env.Dynamic, env.Kubernetes)
}

// Remove implements App.
func (m Manifests) Remove(ctx context.Context, env Env) error {
	set, err := m.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Remove(ctx, env.Dynamic)
}
