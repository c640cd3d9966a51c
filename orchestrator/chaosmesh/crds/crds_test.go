package crds_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh/crds"
)

func byKind(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := crds.All()
	require.NoError(t, err)
	m := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, d := range all {
		m[d.Spec.Names.Kind] = d
	}
	require.Len(t, m, len(all))
	return m
}

func TestEveryKindThatTheControllersServeIsDefined(t *testing.T) {
	kinds := byKind(t)
	for _, kind := range []string{
		"AWSChaos", "AzureChaos", "BlockChaos", "DNSChaos", "GCPChaos", "HTTPChaos", "IOChaos", "JVMChaos", "KernelChaos",
		"NetworkChaos", "PhysicalMachine", "PhysicalMachineChaos", "PodChaos", "PodHttpChaos", "PodIOChaos", "PodNetworkChaos",
		"RemoteCluster", "Schedule", "StatusCheck", "StressChaos", "TimeChaos", "Workflow", "WorkflowNode",
	} {
		require.Contains(t, kinds, kind)
		require.Equal(t, "chaos-mesh.org", kinds[kind].Spec.Group)
	}
}

// property follows path through a definition's schema.
func property(t *testing.T, d *apiextensionsv1.CustomResourceDefinition, path ...string) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	p := *d.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range path {
		if p.Items != nil {
			p = *p.Items.Schema
		}
		require.Contains(t, p.Properties, name)
		p = p.Properties[name]
	}
	return p
}

func TestWhatTheControllersWriteIsNotPruned(t *testing.T) {
	kinds := byKind(t)
	for _, path := range [][]string{
		{"status", "conditions"},
		{"status", "experiment", "containerRecords", "phase"},
		{"status", "experiment", "containerRecords", "events"},
		{"status", "experiment", "containerRecords", "injectedCount"},
		{"status", "experiment", "desiredPhase"},
		{"status", "instances"},
	} {
		property(t, kinds["NetworkChaos"], path...)
	}
	property(t, kinds["PodNetworkChaos"], "status", "observedGeneration")
}

func TestNestedKindsAcceptAnyFieldOfTheKindsInThem(t *testing.T) {
	kinds := byKind(t)
	for _, p := range []apiextensionsv1.JSONSchemaProps{
		property(t, kinds["Schedule"], "spec", "networkChaos"),
		property(t, kinds["Workflow"], "spec", "templates", "podChaos"),
		property(t, kinds["Workflow"], "spec", "templates", "task", "container"),
	} {
		require.Equal(t, "object", p.Type)
		require.NotNil(t, p.XPreserveUnknownFields)
		require.True(t, *p.XPreserveUnknownFields)
	}
	require.NotEmpty(t, property(t, kinds["Schedule"], "spec", "schedule").Type, "its own fields are still described")
}

func TestAllIsSorted(t *testing.T) {
	all, err := crds.All()
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(all, func(a, b *apiextensionsv1.CustomResourceDefinition) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	}))
}
