package existing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// pollEvery is how often the API server is asked whether something is gone.
const pollEvery = 500 * time.Millisecond

// sweeper removes what carries labels: namespaces with all that is in them, and objects without a namespace of whatever kind.
type sweeper struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
}

// remove deletes what the selector matches and waits until it is gone. It is idempotent. The error names what is left, and of
// namespaces why.
func (s sweeper) remove(ctx context.Context, selector string) error {
	found, err := s.find(ctx, selector)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	var all []error
	for _, m := range found {
		err := s.dynamic.Resource(m.resource).Delete(ctx, m.name, metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			all = append(all, fmt.Errorf("delete %s: %w", m, err))
		}
	}
	if err := awaitGone(ctx, s.dynamic, found); err != nil {
		all = append(all, err, s.explain(context.WithoutCancel(ctx), found))
	}
	return errors.Join(all...)
}

// find lists what the selector matches: namespaces first, since what runs in them uses the rest, then volumes that were made for
// claims in them.
func (s sweeper) find(ctx context.Context, selector string) ([]made, error) {
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	out, err := s.list(ctx, namespaces, selector)
	if err != nil {
		return nil, err
	}
	kinds, err := clusterKinds(s.kube.Discovery())
	if err != nil {
		return nil, err
	}
	volumes, err := s.volumes(ctx, out)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, kind := range kinds {
		group.Go(func() error {
			more, err := s.list(ctx, kind, selector)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, more...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return append(out, volumes...), nil
}

// list returns the objects of a resource without a namespace that the selector matches. A resource that cannot be listed has none:
// what may not be seen cannot have been made.
func (s sweeper) list(ctx context.Context, resource schema.GroupVersionResource, selector string) ([]made, error) {
	list, err := s.dynamic.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", resource.Resource, err)
	}
	var out []made
	for _, object := range list.Items {
		out = append(out, made{resource, object.GetName()})
	}
	return out, nil
}

// volumes are those that were made for claims in namespaces: one that is to be retained would stay.
func (s sweeper) volumes(ctx context.Context, namespaces []made) ([]made, error) {
	if len(namespaces) == 0 {
		return nil, nil
	}
	list, err := s.kube.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list persistent volumes: %w", err)
	}
	var out []made
	for _, v := range list.Items {
		if v.Spec.ClaimRef != nil && slices.ContainsFunc(namespaces, func(m made) bool { return m.name == v.Spec.ClaimRef.Namespace }) {
			out = append(out, made{schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}, v.Name})
		}
	}
	return out, nil
}

// explain says what keeps namespaces that are left.
func (s sweeper) explain(ctx context.Context, found []made) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	var all []error
	for _, m := range found {
		if m.resource.Resource != "namespaces" {
			continue
		}
		ns, err := s.kube.CoreV1().Namespaces().Get(ctx, m.name, metav1.GetOptions{})
		if err != nil {
			continue // It is gone, or the API server is: that was said.
		}
		for _, c := range ns.Status.Conditions {
			if c.Status == corev1.ConditionTrue && c.Message != "" {
				all = append(all, fmt.Errorf("namespace %s: %s", m.name, c.Message))
			}
		}
	}
	return errors.Join(all...)
}

// awaitGone waits until none of them exists, or ctx ends; the error then names what is left.
func awaitGone(ctx context.Context, d dynamic.Interface, all []made) error {
	left := slices.Clone(all)
	err := wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		left = slices.DeleteFunc(left, func(m made) bool {
			_, err := d.Resource(m.resource).Get(ctx, m.name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
		return len(left) == 0, nil
	})
	if err == nil {
		return nil
	}
	var names []string
	for _, m := range left {
		names = append(names, m.String())
	}
	return fmt.Errorf("wait until all is gone: %w: left are %s", context.Cause(ctx), strings.Join(names, ", "))
}

// clusterKinds are the resources without a namespace that can be listed and deleted, but for namespaces and nodes. A group whose
// server does not answer is left out: nothing of it was made.
func clusterKinds(d discovery.DiscoveryInterface) ([]schema.GroupVersionResource, error) {
	_, lists, err := d.ServerGroupsAndResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("list the kinds of objects: %w", err)
	}
	kinds := map[schema.GroupResource]schema.GroupVersionResource{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue // No client could ask for it.
		}
		for _, r := range list.APIResources {
			id := schema.GroupResource{Group: version.Group, Resource: r.Name}
			_, known := kinds[id]
			skip := r.Namespaced || strings.Contains(r.Name, "/") || id.Group == "" && (r.Name == "namespaces" || r.Name == "nodes")
			if known || skip || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			kinds[id] = version.WithResource(r.Name)
		}
	}
	return slices.SortedFunc(maps.Values(kinds), func(a, b schema.GroupVersionResource) int { return strings.Compare(a.String(), b.String()) }), nil
}
