package dns

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

const clusterDNS = "k8s-app=kube-dns"

// TestDNSScaledToZero: connections are made anew all the time, and then nobody is found.
func TestDNSScaledToZero(t *testing.T) {
	s := fixture.Site(t, rate)
	t.Cleanup(func() { s.In(metav1.NamespaceSystem).Scale(context.Background(), "coredns", 2) })
	s.In(metav1.NamespaceSystem).Scale(t.Context(), "coredns", 0)
	s.Misses("availability")
	s.Value("no replica of CoreDNS", `kube_deployment_status_replicas_available{namespace="kube-system",deployment="coredns"}`, func(v float64) bool { return v == 0 })
	s.In(metav1.NamespaceSystem).Scale(t.Context(), "coredns", 2)
	s.Healthy()
}

// corefile replaces the Corefile and returns what it was.
func corefile(ctx context.Context, s *clustertest.Site, change func(string) string) string {
	s.T.Helper()
	maps := s.Kube.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	config, err := maps.Get(ctx, "coredns", metav1.GetOptions{})
	require.NoError(s.T, err)
	before := config.Data["Corefile"]
	config.Data["Corefile"] = change(before)
	_, err = maps.Update(ctx, config, metav1.UpdateOptions{})
	require.NoError(s.T, err)
	return before
}

// restartDNS deletes CoreDNS's pods, as kubectl delete pods -l does.
func restartDNS(ctx context.Context, s *clustertest.Site) {
	s.T.Helper()
	require.NoError(s.T, s.Kube.CoreV1().Pods(metav1.NamespaceSystem).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: clusterDNS}))
}

// dnsLogs are the logs of CoreDNS's pods.
func dnsLogs(s *clustertest.Site) []string {
	s.T.Helper()
	list, err := s.Kube.CoreV1().Pods(metav1.NamespaceSystem).List(s.T.Context(), metav1.ListOptions{LabelSelector: clusterDNS})
	require.NoError(s.T, err)
	var out []string
	for _, p := range list.Items {
		data, err := s.Kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(s.T.Context())
		if err == nil {
			out = append(out, string(data))
		}
	}
	return out
}

// TestCorefileBroken: servers that run keep what they have, and those that start with it crash.
func TestCorefileBroken(t *testing.T) {
	s := fixture.Site(t, rate)
	whole := corefile(t.Context(), s, func(text string) string { return strings.Replace(text, "loadbalance", "loadbalanec", 1) })
	t.Cleanup(func() {
		corefile(context.Background(), s, func(string) string { return whole })
		restartDNS(context.Background(), s)
	})
	s.Eventually("both servers refuse the new Corefile", func() (bool, string) {
		logs := dnsLogs(s)
		refused := 0
		for _, l := range logs {
			if strings.Contains(l, "Corefile changed but reload failed") && strings.Contains(l, "Unknown directive 'loadbalanec'") {
				refused++
			}
		}
		return refused == 2, strings.Join(logs, "\n")
	})
	s.Healthy()
	restartDNS(t.Context(), s)
	s.Misses("availability")
	s.Value("CoreDNS in a crash loop", `kube_pod_container_status_waiting_reason{namespace="kube-system",container="coredns",reason="CrashLoopBackOff"}`, func(v float64) bool { return v == 1 })
	corefile(t.Context(), s, func(string) string { return whole })
	restartDNS(t.Context(), s)
	s.Healthy()
}

// TestCorefileOfAnotherZone: a Corefile that is well-formed takes effect by itself, and the cluster's names are gone.
func TestCorefileOfAnotherZone(t *testing.T) {
	s := fixture.Site(t, rate)
	whole := corefile(t.Context(), s, func(text string) string {
		return strings.ReplaceAll(text, "kubernetes cluster.local", "kubernetes cluster.lokal")
	})
	repair := func(ctx context.Context) { corefile(ctx, s, func(string) string { return whole }) }
	t.Cleanup(func() { repair(context.Background()) })
	s.Misses("availability")
	repair(t.Context())
	s.Healthy()
}

// patchTemplate changes the pods of one of the application's deployments.
func patchTemplate(ctx context.Context, s *clustertest.Site, deployment, spec string) {
	s.T.Helper()
	patch := `{"spec":{"template":{"spec":` + spec + `}}}`
	_, err := s.Kube.AppsV1().Deployments(s.Namespace).Patch(ctx, deployment, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s.T, err)
}

// TestPolicyOfAWorkload: a service whose pods ask the wrong server, or none, finds nobody.
func TestPolicyOfAWorkload(t *testing.T) {
	for name, spec := range map[string]string{
		"the node's resolver":     `{"dnsPolicy":"Default"}`,
		"a server that is not":    `{"dnsPolicy":"None","dnsConfig":{"nameservers":["10.96.0.99"],"searches":["hotel.svc.cluster.local"]}}`,
		"a search list too short": `{"dnsPolicy":"None","dnsConfig":{"nameservers":["10.96.0.10"],"searches":["cluster.local"]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := fixture.Site(t, rate)
			repair := func(ctx context.Context) {
				patchTemplate(ctx, s, "search", `{"dnsPolicy":"ClusterFirst","dnsConfig":null}`)
			}
			t.Cleanup(func() { repair(context.Background()) })
			patchTemplate(t.Context(), s, "search", spec)
			s.Misses("search-availability")
			s.Value("errors of search", `sum(rate(loadgen_requests_total{route="search",outcome!="ok"}[5s]))`, func(v float64) bool { return v > 0 })
			repair(t.Context())
			s.Available("search")
			s.Healthy()
		})
	}
}
