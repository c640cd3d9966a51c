// Package objects applies, awaits and removes sets of Kubernetes objects that are written as manifests.
package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Set is a list of objects in the order in which they were written.
type Set []*unstructured.Unstructured

// fieldManager is who owns the fields that are applied: the name that kubectl would give.
const fieldManager = "kubectl"

// parallel is how many requests are under way at once.
const parallel = 8

// Load reads all *.yaml files of dir, sorted by name. ${name} stands for vars[name]; an unknown name is an error, $${ is a literal ${.
func Load(dir fs.FS, vars map[string]string) (Set, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	var out Set
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		set, err := Parse(name, data, vars)
		if err != nil {
			return nil, err
		}
		out = append(out, set...)
	}
	return out, nil
}

// Parse reads the documents of one manifest; name is for errors.
func Parse(name string, data []byte, vars map[string]string) (Set, error) {
	text, err := Expand(string(data), vars)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", name, err)
	}
	var out Set
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("parse manifest %s: %w", name, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if u.GetKind() == "" || u.GetName() == "" {
			return nil, fmt.Errorf("parse manifest %s: object %d has no kind or name", name, len(out)+1)
		}
		out = append(out, u)
	}
}

// Expand replaces ${name} in text.
func Expand(text string, vars map[string]string) (string, error) {
	var b bytes.Buffer
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			b.Truncate(b.Len() - 1)
			b.WriteString("${")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		value, known := vars[name]
		if !closed || !known {
			return "", fmt.Errorf("unknown variable ${%s}", name)
		}
		b.WriteString(value)
		text = after
	}
}

// clusterScoped are the kinds that have no namespace. The others have.
func clusterScoped(kind string) bool {
	return slices.Contains([]string{
		"Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass",
		"CustomResourceDefinition", "APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "IngressClass",
	}, kind)
}

// client returns the client of an object's resource. Resources are named by the rule that all built-in kinds follow, so
// that no discovery is needed.
func client(d dynamic.Interface, u *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	if clusterScoped(u.GetKind()) {
		return d.Resource(resource)
	}
	return d.Resource(resource).Namespace(u.GetNamespace())
}

// Describe names an object for people.
func Describe(u *unstructured.Unstructured) string {
	if ns := u.GetNamespace(); ns != "" {
		return strings.ToLower(u.GetKind()) + " " + ns + "/" + u.GetName()
	}
	return strings.ToLower(u.GetKind()) + " " + u.GetName()
}

// In puts every object that can have a namespace and names none into namespace ns.
func (s Set) In(ns string) Set {
	for _, u := range s {
		if u.GetNamespace() == "" && !clusterScoped(u.GetKind()) {
			u.SetNamespace(ns)
		}
	}
	return s
}

// Apply applies all objects, namespaces first and what has pods last. It returns when the API server has accepted them.
func (s Set) Apply(ctx context.Context, d dynamic.Interface) error {
	for r := range 3 {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for _, u := range s {
			if rank(u.GetKind()) != r {
				continue
			}
			g.Go(func() error {
				_, err := client(d, u).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
				if err != nil {
					return fmt.Errorf("apply %s: %w", Describe(u), err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// rank orders kinds: namespaces, then what pods need, then what has pods.
func rank(kind string) int {
	switch kind {
	case "Namespace":
		return 0
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod":
		return 2
	}
	return 1
}

// Remove deletes all objects, the last written first, and waits until they are gone. The error names what is left.
func (s Set) Remove(ctx context.Context, d dynamic.Interface) error {
	policy := metav1.DeletePropagationForeground
	var failed []error
	for _, r := range []int{2, 1, 0} {
		var gone Set
		for _, u := range slices.Backward(s) {
			if rank(u.GetKind()) != r {
				continue
			}
			err := client(d, u).Delete(ctx, u.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
			if err != nil && !apierrors.IsNotFound(err) {
				failed = append(failed, fmt.Errorf("delete %s: %w", Describe(u), err))
				continue
			}
			gone = append(gone, u)
		}
		failed = append(failed, gone.awaitGone(ctx, d))
	}
	return errors.Join(failed...)
}
