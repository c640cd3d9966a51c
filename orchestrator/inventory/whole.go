package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
)

// Lister is the part of discovery that says what kinds of objects there are.
type Lister interface {
	// ServerPreferredResources returns every resource once. An error of groups that do not answer comes with the others' resources.
	ServerPreferredResources() ([]*metav1.APIResourceList, error)
}

// Whole is everything that a cluster held at one moment, but for what comes and goes by itself. Kinds have their group's name where it is not
// the core's: Deployment.apps.
type Whole struct {
	Inventory
	// Resources are what each object is reached by.
	Resources map[Key]schema.GroupVersionResource
	// Leaving are objects that are being deleted: they are still there.
	Leaving map[Key]bool
}

// Settle forgets what is being deleted, with what is in namespaces that are: it is soon gone.
func (w *Whole) Settle() {
	for key := range w.Inventory {
		if w.Leaving[key] || key.Namespace != "" && w.Leaving[Key{Kind: "Namespace", Name: key.Namespace}] {
			delete(w.Inventory, key)
			delete(w.Resources, key)
		}
	}
}

// passing are resources whose objects come and go by themselves: what controllers derive from others, and notes about what happens.
func passing() []string {
	return []string{
		"events", "pods", "replicasets", "controllerrevisions", "endpoints", "endpointslices", "leases", "leasecandidates", "ipaddresses",
		"certificatesigningrequests", "volumeattachments", "csistoragecapacities", "csinodes", "componentstatuses",
	}
}

// passingGroups are API groups of measurements.
func passingGroups() []string {
	return []string{"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "events.k8s.io"}
}

// Resources returns the resources whose objects a Whole has: those that can be listed and deleted and do not come and go by themselves. Groups
// that do not answer are left out.
func Resources(lister Lister) (map[schema.GroupVersionResource]string, error) {
	lists, err := lister.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("ask what kinds of objects there are: %w", err)
	}
	out := map[schema.GroupVersionResource]string{}
	for _, l := range lists {
		version, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("read API version %q: %w", l.GroupVersion, err)
		}
		for _, r := range l.APIResources {
			group := version.Group
			if r.Group != "" {
				group = r.Group
			}
			if strings.Contains(r.Name, "/") || slices.Contains(passing(), r.Name) || slices.Contains(passingGroups(), group) ||
				!slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			kind := r.Kind
			if group != "" {
				kind += "." + group
			}
			out[schema.GroupVersionResource{Group: group, Version: version.Version, Resource: r.Name}] = kind
		}
	}
	return out, nil
}

// TakeWhole reads the objects of all these resources, in all namespaces. A resource that is gone has none.
func TakeWhole(ctx context.Context, client dynamic.Interface, resources map[schema.GroupVersionResource]string) (*Whole, error) {
	w := &Whole{Inventory: Inventory{}, Resources: map[Key]schema.GroupVersionResource{}, Leaving: map[Key]bool{}}
	for gvr, kind := range resources {
		list, err := client.Resource(gvr).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", gvr.Resource, err)
		}
		for _, item := range list.Items {
			if gvr.Resource == "configmaps" && slices.Contains(selfWritten(), item.GetName()) {
				continue
			}
			if gvr.Resource == "serviceaccounts" && item.GetName() == "default" && item.GetNamespace() != "" {
				continue // Its controller makes it for every namespace, and again when it is gone.
			}
			key := Key{Kind: kind, Namespace: item.GetNamespace(), Name: item.GetName()}
			w.Inventory[key], w.Resources[key] = essence(item), gvr
			if item.GetDeletionTimestamp() != nil {
				w.Leaving[key] = true
			}
		}
	}
	return w, nil
}
