package addons_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	all, err := addons.Objects(&spec.Cluster{Network: spec.Network{
		DNS: netip.MustParseAddr("10.97.0.10"), Domain: "corp.example",
	}})
	require.NoError(t, err)
	return all
}

// find decodes the object of a kind and name into into, strictly.
func find(t *testing.T, kind, name string, into any) {
	t.Helper()
	for _, o := range objects(t) {
		if o.GetKind() == kind && o.GetName() == name {
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true))
			return
		}
	}
	require.Fail(t, "no such object", "%s %s", kind, name)
}

func TestClusterDNSHasThePlannedAddressAndDomain(t *testing.T) {
	var svc corev1.Service
	find(t, "Service", "kube-dns", &svc)
	require.Equal(t, "10.97.0.10", svc.Spec.ClusterIP)
	var config corev1.ConfigMap
	find(t, "ConfigMap", "coredns", &config)
	require.Contains(t, config.Data["Corefile"], "kubernetes corp.example in-addr.arpa ip6.arpa {")
	require.NotContains(t, config.Data["Corefile"], "{{")
}

func TestClusterDNSFollowsItsCorefileAtThePaceOfTheTiming(t *testing.T) {
	for want, timing := range map[string]spec.Timing{"reload 2s 1s": spec.Fast(), "reload": spec.Production()} {
		all, err := addons.Objects(&spec.Cluster{Timing: timing})
		require.NoError(t, err)
		i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "ConfigMap" && o.GetName() == "coredns" })
		require.GreaterOrEqual(t, i, 0)
		corefile, _, err := unstructured.NestedString(all[i].Object, "data", "Corefile")
		require.NoError(t, err)
		require.Contains(t, corefile, "\n    "+want+"\n")
	}
}

func TestClusterDNSIsSelectedByItsService(t *testing.T) {
	var svc corev1.Service
	find(t, "Service", "kube-dns", &svc)
	var dep appsv1.Deployment
	find(t, "Deployment", "coredns", &dep)
	require.Equal(t, svc.Spec.Selector, dep.Spec.Template.Labels)
	ports := map[int32]corev1.Protocol{}
	for _, p := range dep.Spec.Template.Spec.Containers[0].Ports {
		ports[p.ContainerPort] = p.Protocol
	}
	for _, p := range svc.Spec.Ports {
		require.Contains(t, ports, p.TargetPort.IntVal)
	}
	require.Equal(t, corev1.DNSDefault, dep.Spec.Template.Spec.DNSPolicy, "cluster DNS must not ask itself")
}

func TestNodesAreFoundByWhatScrapesThem(t *testing.T) {
	all, err := addons.Objects(&spec.Cluster{Nodes: []spec.Node{
		{Name: "node-1", Address: netip.MustParseAddr("172.18.0.11")}, {Name: "node-2", Address: netip.MustParseAddr("172.18.0.12")},
	}})
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "EndpointSlice" })
	require.GreaterOrEqual(t, i, 0)
	var slice discoveryv1.EndpointSlice
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(all[i].Object, &slice, true))
	require.Len(t, slice.Endpoints, 2)
	require.Equal(t, []string{"172.18.0.12"}, slice.Endpoints[1].Addresses)
	require.Equal(t, "node-2", *slice.Endpoints[1].NodeName)
	var svc corev1.Service
	find(t, "Service", slice.Labels[discoveryv1.LabelServiceName], &svc)
	require.Empty(t, svc.Spec.Selector)
	require.Equal(t, *slice.Ports[0].Port, svc.Spec.Ports[0].Port)
}

func TestNamespacesComeFirst(t *testing.T) {
	seen := map[string]bool{"": true, "kube-system": true}
	for _, o := range objects(t) {
		require.True(t, seen[o.GetNamespace()], "%s comes before its namespace", o.GetName())
		if o.GetKind() == "Namespace" {
			seen[o.GetName()] = true
		}
	}
	require.True(t, seen[addons.ChaosNamespace])
}

func TestWebhooksPointAtLoopback(t *testing.T) {
	mutating, validating := addons.Webhooks([]string{"networkchaos", "schedule"}, 9443, []byte("ca"))
	require.Len(t, mutating.Webhooks, 2)
	require.Equal(t, "https://127.0.0.1:9443/mutate-chaos-mesh-org-v1alpha1-networkchaos", *mutating.Webhooks[0].ClientConfig.URL)
	require.Equal(t, []string{"networkchaos"}, mutating.Webhooks[0].Rules[0].Resources)
	require.Equal(t, []string{"schedules"}, mutating.Webhooks[1].Rules[0].Resources)
	require.Len(t, validating, 2)
	require.Equal(t, "https://127.0.0.1:9443/validate-auth", *validating[1].Webhooks[0].ClientConfig.URL)
	for _, c := range validating {
		for _, w := range c.Webhooks {
			require.Nil(t, w.ClientConfig.Service)
			require.Equal(t, []byte("ca"), w.ClientConfig.CABundle)
			require.NotNil(t, w.SideEffects)
			require.NotNil(t, w.FailurePolicy)
		}
	}
}
