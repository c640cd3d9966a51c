package chaosmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh/crds"
)

const (
	fieldManager = "gameday"
	// parallel bounds the requests that are under way at once.
	parallel = 8
)

var (
	groupVersion       = schema.GroupVersion{Group: "chaos-mesh.org", Version: "v1alpha1"}
	definitionResource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
)

// define makes the API server serve Chaos Mesh's kinds as the controllers write them, and waits until it does. A definition that is
// there already is brought up to date: an older one drops fields, and then every update is refused. It is not marked as ours.
func (s *site) define(ctx context.Context) error {
	all, err := crds.All()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, d := range all {
		g.Go(func() error {
			if err := s.applyDefinition(gctx, d); err != nil {
				return fmt.Errorf("apply definition %s: %w", d.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.until(ctx, s.pace.definitions, "Chaos Mesh's definitions", func(context.Context) (string, error) {
		// A group's discovery document lists what is established; the definitions themselves are half a megabyte.
		served, err := s.kube.Discovery().ServerResourcesForGroupVersion(groupVersion.String())
		if err != nil {
			return again(err) // The group is not there at first.
		}
		kinds := 0
		for _, r := range served.APIResources {
			if !strings.Contains(r.Name, "/") {
				kinds++
			}
		}
		if kinds < len(all) {
			return fmt.Sprintf("%d of %d kinds are served", kinds, len(all)), nil
		}
		return "", nil
	})
}

func (s *site) applyDefinition(ctx context.Context, d *apiextensionsv1.CustomResourceDefinition) error {
	client := s.dyn.Resource(definitionResource)
	have, err := client.Get(ctx, d.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		metav1.SetMetaDataLabel(&d.ObjectMeta, OwnedLabel, owned)
	case err != nil:
		return err
	case have.GetLabels()[OwnedLabel] == owned:
		metav1.SetMetaDataLabel(&d.ObjectMeta, OwnedLabel, owned)
	default:
		s.log.WarnContext(ctx, "a definition of Chaos Mesh is there without Chaos Mesh, it is brought up to date", "name", d.Name)
	}
	d.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(data); err != nil {
		return err
	}
	// Both are the API server's.
	unstructured.RemoveNestedField(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	_, err = client.Apply(ctx, d.Name, object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// undefine removes the definitions that are ours, with every object of theirs, and waits until they are gone.
func (s *site) undefine(ctx context.Context) error {
	client := s.dyn.Resource(definitionResource)
	return s.until(ctx, s.pace.gone, "the removal of Chaos Mesh's definitions", func(ctx context.Context) (string, error) {
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: OwnedLabel + "=" + owned})
		if err != nil {
			return again(err)
		}
		var left []string
		for _, d := range list.Items {
			left = append(left, d.GetName())
			if d.GetDeletionTimestamp() != nil {
				continue
			}
			if err := client.Delete(ctx, d.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				left[len(left)-1] = fmt.Sprintf("%s (%v)", d.GetName(), err)
			}
		}
		if len(left) == 0 {
			return "", nil
		}
		// An object that nobody recovers keeps its definition for ever.
		if err := s.letGo(ctx); err != nil {
			return again(err)
		}
		return strings.Join(left, ", ") + " are there", nil
	})
}

// kind is one kind of Chaos Mesh.
type kind struct {
	schema.GroupVersionResource
	name string
}

// kinds are all kinds of Chaos Mesh.
func kinds() ([]kind, error) {
	all, err := crds.All()
	if err != nil {
		return nil, err
	}
	var out []kind
	for _, d := range all {
		out = append(out, kind{groupVersion.WithResource(d.Spec.Names.Plural), d.Spec.Names.Kind})
	}
	return out, nil
}

// experiment is true for kinds that are made to inject something, and false for what the controllers keep their books in: that is gone
// when nothing is injected any more.
func (k kind) experiment() bool {
	switch k.name {
	case "PodNetworkChaos", "PodIOChaos", "PodHttpChaos":
		return false
	case "Schedule", "Workflow":
		return true
	}
	return strings.HasSuffix(k.name, "Chaos")
}
