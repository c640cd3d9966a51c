package existing

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

const (
	// chaosPatience is how long Chaos Mesh has to recover by itself before it is made to let go of an object.
	chaosPatience = 20 * time.Second
	// forceRecovery is its own way to do so.
	forceRecovery = `{"metadata":{"annotations":{"chaos-mesh.chaos-mesh.org/cleanFinalizer":"forced"}}}`
)

// removeChaosObjects deletes the objects of Chaos Mesh that runs have made and waits until what they did is recovered. They go
// before anything else: their finalizers need their targets and Chaos Mesh's controllers.
func removeChaosObjects(ctx context.Context, kube kubernetes.Interface, d dynamic.Interface, c clock.PassiveClock, log *slog.Logger) error {
	kinds, err := chaosKinds(kube)
	if err != nil || len(kinds) == 0 {
		return err
	}
	began := c.Now()
	var left []string
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		now := []string{}
		for _, kind := range kinds {
			names, err := deleteAll(ctx, d.Resource(kind).Namespace(Home), c.Since(began) > chaosPatience, log)
			if err != nil {
				return false, fmt.Errorf("delete %s: %w", kind.Resource, err)
			}
			for _, name := range names {
				now = append(now, kind.Resource+" "+name)
			}
		}
		if ctx.Err() == nil {
			left = now
		}
		return len(now) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("remove the objects of Chaos Mesh in namespace %s (left: %s): %w", Home, strings.Join(left, ", "), err)
	}
	return nil
}

// deleteAll deletes every object of a resource and returns the names of those that are still there.
func deleteAll(ctx context.Context, client dynamic.ResourceInterface, force bool, log *slog.Logger) ([]string, error) {
	list, err := client.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsMethodNotSupported(err) {
		return nil, nil // What may not be seen cannot have been made.
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, object := range list.Items {
		out = append(out, object.GetName())
		if object.GetDeletionTimestamp() == nil {
			if err := client.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return out, err
			}
		}
		if !force {
			continue
		}
		log.WarnContext(ctx, "an object of Chaos Mesh does not recover, forcing it", "kind", object.GetKind(), "name", object.GetName())
		_, err := client.Patch(ctx, object.GetName(), types.MergePatchType, []byte(forceRecovery), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return out, err
		}
	}
	return out, nil
}

// chaosKinds are the resources of Chaos Mesh that the cluster has.
func chaosKinds(kube kubernetes.Interface) ([]schema.GroupVersionResource, error) {
	version := schema.GroupVersion{Group: chaosGroup, Version: "v1alpha1"}
	list, err := kube.Discovery().ServerResourcesForGroupVersion(version.String())
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the kinds of Chaos Mesh: %w", err)
	}
	var out []schema.GroupVersionResource
	for _, r := range list.APIResources {
		if r.Namespaced && !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "list") {
			out = append(out, version.WithResource(r.Name))
		}
	}
	return out, nil
}
