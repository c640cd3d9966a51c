package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/gameday-bench/gameday/workloads"
)

// fieldManager is who the tests are for server-side apply.
const fieldManager = "clustertest"

// Decode reads the objects of a YAML text.
func (r *Rig) Decode(text string) []*unstructured.Unstructured {
	r.T.Helper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(r.T, err)
		if object.Object != nil {
			out = append(out, object)
		}
	}
}

// Apply applies the objects of a YAML text on the server's side, in the rig's namespace where they name none. Objects
// outside of that namespace are deleted at the end of the test.
func (r *Rig) Apply(text string) {
	r.T.Helper()
	for _, object := range r.Decode(text) {
		client := r.Client(object)
		_, err := client.Apply(r.T.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		require.NoError(r.T, err, "apply %s %s", object.GetKind(), object.GetName())
		if object.GetNamespace() != r.Namespace {
			r.T.Cleanup(func() { _ = client.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}) })
		}
	}
}

// Rejected applies one object that the API server has to refuse, and returns its words.
func (r *Rig) Rejected(text string) string {
	r.T.Helper()
	objects := r.Decode(text)
	require.Len(r.T, objects, 1)
	_, err := r.Client(objects[0]).Apply(r.T.Context(), objects[0].GetName(), objects[0], metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	require.Error(r.T, err)
	return err.Error()
}

// Client returns the client for an object's kind. A namespaced object without a namespace gets the rig's.
func (r *Rig) Client(object *unstructured.Unstructured) dynamic.ResourceInterface {
	r.T.Helper()
	// Kinds may have come since the last call, with a custom resource definition: discovery is asked anew.
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(r.Kube.Discovery()))
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	require.NoError(r.T, err, "find kind %s", kind)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return r.Dynamic.Resource(mapping.Resource)
	}
	if object.GetNamespace() == "" {
		object.SetNamespace(r.Namespace)
	}
	return r.Dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
}

// Create makes one object, as soon as its kind is served: that of a definition which has just been made is not at once.
func (r *Rig) Create(text string) {
	r.T.Helper()
	object := r.Decode(text)[0]
	r.Eventually("the object is created", func() (bool, string) {
		_, err := r.Client(object).Create(r.T.Context(), object, metav1.CreateOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// Install puts an add-on on the cluster, in its own namespace, and waits until it is ready. It goes with the test.
func (r *Rig) Install(app workloads.App, namespace string) {
	r.T.Helper()
	env := workloads.Env{Kubernetes: r.Kube, Dynamic: r.Dynamic, REST: r.REST, Namespace: namespace, Log: slog.New(slog.DiscardHandler)}
	r.T.Cleanup(func() { require.NoError(r.T, app.Remove(context.Background(), env)) })
	require.NoError(r.T, app.Deploy(r.T.Context(), env))
	require.NoError(r.T, app.Ready(r.T.Context(), env))
}
