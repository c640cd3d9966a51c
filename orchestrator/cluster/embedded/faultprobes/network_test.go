package faultprobes

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestPolicyCutsAStore: a policy that lets only a client in which does not exist. It cuts the connections that the service's pool
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
`)
	s.Unhealthy()
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
	s.Unhealthy()
	point(t.Context(), "mysql-user")
	s.Healthy()
}
