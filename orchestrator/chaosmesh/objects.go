package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
)

const (
	// forceRecovery is Chaos Mesh's own way to let go of an object that it cannot recover.
	forceRecovery = `{"metadata":{"annotations":{"chaos-mesh.chaos-mesh.org/cleanFinalizer":"forced"}}}`
	// noFinalizers lets an object go without asking anybody.
	noFinalizers = `{"metadata":{"finalizers":null}}`
)

// object is one object of Chaos Mesh.
type object struct {
	resource schema.GroupVersionResource
	item     unstructured.Unstructured
}

func (o object) String() string {
	if namespace := o.item.GetNamespace(); namespace != "" {
		return fmt.Sprintf("%s %s/%s", o.item.GetKind(), namespace, o.item.GetName())
	}
	return fmt.Sprintf("%s %s", o.item.GetKind(), o.item.GetName())
}

func (s *site) clientOf(o object) dynamic.ResourceInterface {
	if namespace := o.item.GetNamespace(); namespace != "" {
		return s.dyn.Resource(o.resource).Namespace(namespace)
	}
	return s.dyn.Resource(o.resource)
}

// objects are the objects of some kinds, in all namespaces. A kind that the API server does not know has none.
func (s *site) objects(ctx context.Context, wanted func(kind) bool) ([]object, error) {
	all, err := kinds()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var out []object
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, k := range all {
		if !wanted(k) {
			continue
		}
		g.Go(func() error {
			list, err := s.dyn.Resource(k.GroupVersionResource).List(gctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s: %w", k.Resource, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, item := range list.Items {
				out = append(out, object{k.GroupVersionResource, item})
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b object) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

// experiments is everything that may have injected something.
func (s *site) experiments(ctx context.Context) ([]object, error) {
	return s.objects(ctx, kind.experiment)
}

// discard deletes an object, unless somebody has already.
func (s *site) discard(ctx context.Context, o object) error {
	if o.item.GetDeletionTimestamp() != nil {
		return nil
	}
	err := s.clientOf(o).Delete(ctx, o.item.GetName(), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s: %w", o, err)
	}
	return nil
}

func (s *site) patch(ctx context.Context, o object, patch string) error {
	_, err := s.clientOf(o).Patch(ctx, o.item.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("change %s: %w", o, err)
	}
	return nil
}

// recoverExperiments deletes what list returns and waits until Chaos Mesh has recovered it, which is when the objects are gone. Chaos
// Mesh is made to let go of what it does not recover in time.
func (s *site) recoverExperiments(ctx context.Context, list func(context.Context) ([]object, error)) error {
	started := s.clock.Now()
	forced := map[string]bool{}
	return s.until(ctx, s.pace.recovery, "the recovery of experiments", func(ctx context.Context) (string, error) {
		objects, err := list(ctx)
		if err != nil {
			return again(err)
		}
		var left []string
		for _, o := range objects {
			text, late := o.String(), s.clock.Since(started) >= s.pace.patience
			if err := s.recoverOne(ctx, o, late && !forced[text]); err != nil {
				left = append(left, fmt.Sprintf("%s (%v)", text, err))
				continue
			}
			left, forced[text] = append(left, text), late
		}
		if len(left) == 0 {
			return "", nil
		}
		return strings.Join(left, ", ") + " are there", nil
	})
}

// recoverOne asks Chaos Mesh to recover an object, or to let go of it.
func (s *site) recoverOne(ctx context.Context, o object, force bool) error {
	if err := s.discard(ctx, o); err != nil || !force {
		return err
	}
	s.log.WarnContext(ctx, "an experiment does not recover, forcing it: what it did may last", "object", o.String(), "progress", progress(&o.item))
	return s.patch(ctx, o, forceRecovery)
}

// letGo takes the finalizers from objects that are deleted and that nobody recovers any more. It needs the webhooks to be gone: without
// controllers they refuse every change. The error names what could not be let go.
func (s *site) letGo(ctx context.Context) error {
	objects, err := s.objects(ctx, func(kind) bool { return true })
	if err != nil {
		return err
	}
	var all []error
	for _, o := range objects {
		if o.item.GetDeletionTimestamp() == nil || len(o.item.GetFinalizers()) == 0 {
			continue
		}
		if err := s.patch(ctx, o, noFinalizers); err != nil {
			all = append(all, err)
			continue
		}
		s.log.WarnContext(ctx, "an object of Chaos Mesh was let go without recovery: what it did may last", "object", o.String())
	}
	return errors.Join(all...)
}

// conditions are the conditions of an experiment that hold.
func conditions(o *unstructured.Unstructured) map[string]bool {
	out := map[string]bool{}
	for _, c := range listOf(o, "status", "conditions") {
		if name, ok := c["type"].(string); ok && c["status"] == "True" {
			out[name] = true
		}
	}
	return out
}

// progress describes how far an experiment is, for an error.
func progress(o *unstructured.Unstructured) string {
	var out []string
	for _, c := range listOf(o, "status", "conditions") {
		out = append(out, fmt.Sprintf("%v=%v", c["type"], c["status"]))
	}
	for _, r := range listOf(o, "status", "experiment", "containerRecords") {
		out = append(out, fmt.Sprintf("%v: %v", r["id"], r["phase"]))
		events, _ := r["events"].([]any)
		if len(events) == 0 {
			continue
		}
		if last, _ := events[len(events)-1].(map[string]any); last["message"] != nil {
			out = append(out, fmt.Sprint(last["message"]))
		}
	}
	if len(out) == 0 {
		return "the controllers have not looked at it"
	}
	return strings.Join(out, ", ")
}

// listOf is a list of objects in an object.
func listOf(o *unstructured.Unstructured, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(o.Object, path...)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
