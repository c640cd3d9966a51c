package network

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// TestPolicyCutsAStore: a policy that lets in the monitoring and a client which does not exist. It cuts the connections that the service's pool
// holds, not only new ones.
func TestPolicyCutsAStore(t *testing.T) {
	s := fixture.Site(t, rate)
	policies := s.Kube.NetworkingV1().NetworkPolicies(s.Namespace)
	t.Cleanup(func() { _ = policies.Delete(context.Background(), "store-clients", metav1.DeleteOptions{}) })
	s.Apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: store-clients}
spec:
  podSelector: {matchLabels: {app: mysql-user}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: users}}}]
    ports: [{port: mysql}]
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
`)
	s.Misses("user-availability")
	for _, p := range s.ReadyPods("app=mysql-user") {
		require.Zero(t, p.Status.ContainerStatuses[0].RestartCount, "the kubelet's probes reach the store")
	}
	_, err := policies.Patch(t.Context(), "store-clients", types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/spec/ingress/0/from/0/podSelector/matchLabels/app","value":"user"}]`), metav1.PatchOptions{})
	require.NoError(t, err)
	s.Healthy()
}

// TestServiceSelectsNothing: a Service whose selector no pod has keeps its address and loses its endpoints.
func TestServiceSelectsNothing(t *testing.T) {
	s := fixture.Site(t, rate)
	point := func(ctx context.Context, name string) {
		_, err := s.Kube.CoreV1().Services(s.Namespace).Patch(ctx, "mysql-user", types.MergePatchType,
			[]byte(`{"spec":{"selector":{"app.kubernetes.io/name":"`+name+`"}}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	t.Cleanup(func() { point(context.Background(), "mysql-user") })
	point(t.Context(), "mysql-users")
	s.Misses("user-availability")
	point(t.Context(), "mysql-user")
	s.Healthy()
}

// template changes the frontend's pod template with a merge patch.
func template(ctx context.Context, s *clustertest.Site, patch string) {
	s.T.Helper()
	_, err := s.Kube.AppsV1().Deployments(s.Namespace).Patch(ctx, "frontend", types.MergePatchType,
		[]byte(`{"spec":{"template":`+patch+`}}`), metav1.PatchOptions{})
	require.NoError(s.T, err)
}

// TestBandwidthLimit: the annotation of the CNI bandwidth plugin with a figure in the wrong unit.
func TestBandwidthLimit(t *testing.T) {
	s := fixture.Site(t, rate)
	limit := func(ctx context.Context, value string) {
		template(ctx, s, `{"metadata":{"annotations":{"kubernetes.io/egress-bandwidth":`+value+`}}}`)
	}
	t.Cleanup(func() { limit(context.Background(), "null") })
	limit(t.Context(), `"64k"`)
	s.Available("frontend")
	s.Misses("search-latency-p95")
	limit(t.Context(), "null")
	s.Available("frontend")
	s.Healthy()
}

// TestLocalPortsRunOut: a pod with one local port holds one connection to an address, and cannot make the next before that one is gone.
func TestLocalPortsRunOut(t *testing.T) {
	s := fixture.Site(t, rate)
	ports := func(ctx context.Context, sysctls string) {
		template(ctx, s, `{"spec":{"securityContext":{"sysctls":`+sysctls+`}}}`)
	}
	t.Cleanup(func() { ports(context.Background(), "null") })
	ports(t.Context(), `[{"name":"net.ipv4.ip_local_port_range","value":"40000 40000"}]`)
	s.Available("frontend")
	s.Misses("availability")
	ports(t.Context(), "null")
	s.Available("frontend")
	s.Healthy()
}

// TestConntrackTableFull: tables that hold less than what is open take nothing new; the node's kernel log says so.
func TestConntrackTableFull(t *testing.T) {
	s := fixture.Site(t, rate)
	size := func(ctx context.Context, perCore, least int) {
		config := fmt.Sprintf("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nconntrack:\n  maxPerCore: %d\n  min: %d\n", perCore, least)
		config = fmt.Sprintf(`{"data":{"config.conf":%q}}`, config)
		_, err := s.Kube.CoreV1().ConfigMaps(metav1.NamespaceSystem).Patch(ctx, "kube-proxy", types.MergePatchType, []byte(config), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	t.Cleanup(func() { size(context.Background(), 32768, 131072) })
	size(t.Context(), 1, 10)
	s.Misses("availability")
	s.Value("conntrack entries used", "max(node_nf_conntrack_entries / node_nf_conntrack_entries_limit)", func(v float64) bool { return v > 0.75 })
	size(t.Context(), 32768, 131072)
	s.Healthy()
}
