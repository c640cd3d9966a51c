// Package inventorytest has a cluster in memory whose objects an inventory can be taken of.
package inventorytest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// NewClient returns a client of a cluster that holds objects. It knows all kinds that an inventory has: the scheme of
// client-go has neither aggregated APIs nor definitions of resources.
func NewClient(t *testing.T, objects ...runtime.Object) dynamic.Interface {
	t.Helper()
	known := runtime.NewScheme()
	require.NoError(t, scheme.AddToScheme(known))
	for kind, group := range map[string]string{"APIService": "apiregistration.k8s.io", "CustomResourceDefinition": "apiextensions.k8s.io"} {
		version := schema.GroupVersion{Group: group, Version: "v1"}
		known.AddKnownTypeWithName(version.WithKind(kind), &unstructured.Unstructured{})
		known.AddKnownTypeWithName(version.WithKind(kind+"List"), &unstructured.UnstructuredList{})
	}
	return fake.NewSimpleDynamicClient(known, objects...)
}
