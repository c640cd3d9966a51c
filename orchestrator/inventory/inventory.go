// Package inventory remembers what objects a cluster holds and says how they differ later: the ground of the collateral
// invariants, which keep a repair from being a demolition.
package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Key names one object.
type Key struct {
	Kind      string
	Namespace string
	Name      string
}

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}

// Inventory is what a cluster held at one moment, without status and bookkeeping.
type Inventory map[Key]map[string]any

// Take reads the objects of namespaces, and the nodes: what a trial can touch on a cluster that has other users.
func Take(ctx context.Context, client dynamic.Interface, namespaces ...string) (Inventory, error) {
	out := Inventory{}
	for _, kind := range slices.Sorted(maps.Keys(kinds())) {
		for _, ns := range namespaces {
			if err := out.list(ctx, client.Resource(kinds()[kind]).Namespace(ns), kind, nil); err != nil {
				return nil, fmt.Errorf("list objects of kind %s in namespace %q: %w", kind, ns, err)
			}
		}
	}
	if err := out.list(ctx, client.Resource(clusterKinds()[node]), node, nil); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return out, nil
}

// TakeCluster reads the objects of all namespaces but those of without, and those of no namespace.
func TakeCluster(ctx context.Context, client dynamic.Interface, without ...string) (Inventory, error) {
	out := Inventory{}
	for _, all := range []map[string]schema.GroupVersionResource{kinds(), clusterKinds()} {
		for _, kind := range slices.Sorted(maps.Keys(all)) {
			if err := out.list(ctx, client.Resource(all[kind]), kind, without); err != nil {
				return nil, fmt.Errorf("list objects of kind %s: %w", kind, err)
			}
		}
	}
	return out, nil
}

// list adds what reader has, but for what is in the namespaces of without, and these.
func (inv Inventory) list(ctx context.Context, reader dynamic.ResourceInterface, kind string, without []string) error {
	list, err := reader.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil // A cluster without this API has none of its objects.
	}
	if err != nil {
		return err
	}
	for _, item := range list.Items {
		key := Key{kind, item.GetNamespace(), item.GetName()}
		switch {
		case item.GetDeletionTimestamp() != nil, kind == "ConfigMap" && slices.Contains(selfWritten(), key.Name):
		case slices.Contains(without, key.Namespace), kind == "Namespace" && slices.Contains(without, key.Name):
		default:
			inv[key] = essence(item)
		}
	}
	return nil
}

// essence drops what the control plane writes by itself.
func essence(item unstructured.Unstructured) map[string]any {
	o := item.DeepCopy().Object
	delete(o, "status")
	delete(o, "apiVersion")
	delete(o, "kind")
	meta, _ := o["metadata"].(map[string]any)
	kept := map[string]any{}
	for _, field := range []string{"labels", "annotations"} {
		if v, ok := meta[field].(map[string]any); ok {
			kept[field] = v
		}
	}
	o["metadata"] = kept
	dropAuthorities(o)
	for _, meta := range []map[string]any{kept, nested(o, "spec", "template", "metadata")} {
		annotations := nested(meta, "annotations")
		maps.DeleteFunc(annotations, func(name string, _ any) bool { return bookkeeping(name) })
		if len(annotations) == 0 {
			delete(meta, "annotations") // The first restart of a workload makes the map.
		}
	}
	return o
}

// dropAuthorities drops the certificates by which the API server knows whom it calls (aggregated APIs, webhooks of admission
// and of conversion): controllers write and renew them.
func dropAuthorities(o map[string]any) {
	if item, ok := o["spec"].(map[string]any); ok {
		delete(item, "caBundle")
		delete(nested(item, "conversion", "webhook", "clientConfig"), "caBundle")
	}
	hooks, _ := o["webhooks"].([]any)
	for _, hook := range hooks {
		if fields, ok := hook.(map[string]any); ok {
			delete(nested(fields, "clientConfig"), "caBundle")
		}
	}
}

// bookkeeping says whether an annotation is a controller's or a client's note to itself.
func bookkeeping(annotation string) bool {
	for _, prefix := range []string{
		"deployment.kubernetes.io/", "deprecated.daemonset.template.generation", "kubectl.kubernetes.io/", "node.alpha.kubernetes.io/",
		"volumes.kubernetes.io/", "kubernetes.io/change-cause", "control-plane.alpha.kubernetes.io/leader",
	} {
		if strings.HasPrefix(annotation, prefix) {
			return true
		}
	}
	return false
}

func nested(o map[string]any, path ...string) map[string]any {
	for _, field := range path {
		next, ok := o[field].(map[string]any)
		if !ok {
			return nil
		}
		o = next
	}
	return o
}

// Change is one difference between two inventories.
type Change struct {
	Key Key
	// Type is deleted, created or changed.
	Type string
	// Field is the changed field's path for type changed, for example spec.template.spec.containers[0].image.
	Field string
	// Before and After are the field's values; nil where there was none.
	Before, After any
}

func (c Change) String() string {
	if c.Type != "changed" {
		return fmt.Sprintf("%s %s", c.Key, c.Type)
	}
	return fmt.Sprintf("%s %s: %v -> %v", c.Key, c.Field, brief(c.Before), brief(c.After))
}

func brief(v any) string {
	s := fmt.Sprint(v)
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}

// Diff lists how after differs from before, sorted.
func Diff(before, after Inventory) []Change {
	var out []Change
	for key, b := range before {
		a, ok := after[key]
		if !ok {
			out = append(out, Change{Key: key, Type: "deleted"})
			continue
		}
		out = append(out, fields(key, "", b, a)...)
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			out = append(out, Change{Key: key, Type: "created"})
		}
	}
	slices.SortFunc(out, func(a, b Change) int {
		return strings.Compare(a.Key.String()+"\x00"+a.Field, b.Key.String()+"\x00"+b.Field)
	})
	return out
}

// fields compares two values of one object down to the leaves.
func fields(key Key, path string, before, after any) []Change {
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			break
		}
		names := slices.AppendSeq(slices.Collect(maps.Keys(b)), maps.Keys(a))
		slices.Sort(names)
		var out []Change
		for _, name := range slices.Compact(names) {
			out = append(out, fields(key, strings.TrimPrefix(path+"."+name, "."), b[name], a[name])...)
		}
		return out
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		var out []Change
		for i := range b {
			out = append(out, fields(key, fmt.Sprintf("%s[%d]", path, i), b[i], a[i])...)
		}
		return out
	}
	if fmt.Sprint(before) == fmt.Sprint(after) {
		return nil
	}
	return []Change{{Key: key, Type: "changed", Field: path, Before: before, After: after}}
}
