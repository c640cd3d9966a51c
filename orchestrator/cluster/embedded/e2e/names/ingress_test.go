package names

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/workloads/ingress"
)

// installIngress puts the controller on the cluster and returns the address of its Service.
func installIngress(r *clustertest.Rig) string {
	r.T.Helper()
	r.Install(ingress.New(), ingress.Namespace)
	svc, err := r.Kube.CoreV1().Services(ingress.Namespace).Get(r.T.Context(), ingress.Service, metav1.GetOptions{})
	require.NoError(r.T, err)
	return svc.Spec.ClusterIP
}

func TestIngress(t *testing.T) {
	r := fixture.Rig(t)
	deployBackends(r)
	address := installIngress(r)
	r.Apply(client("client", `hostAliases: [{ip: `+address+`, hostnames: [shop.example, plain.example]}],`))
	const rules = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  tls: [{hosts: [shop.example], secretName: shop-tls}]
  rules:
  - host: shop.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
  - host: plain.example
    http: {paths: [
      {path: /hostname, pathType: Exact, backend: {service: {name: web, port: {number: %d}}}},
      {path: /echo, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
      {path: /header, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`
	r.Apply(fmt.Sprintf(rules, 80))
	// The hosts are free again before the namespace is gone.
	t.Cleanup(func() {
		require.NoError(t, r.Kube.NetworkingV1().Ingresses(r.Namespace).Delete(context.Background(), "shop", metav1.DeleteOptions{}))
	})
	r.Running("client")
	r.Eventually("the ingress has an address", func() (bool, string) {
		ing, err := r.Kube.NetworkingV1().Ingresses(r.Namespace).Get(t.Context(), "shop", metav1.GetOptions{})
		require.NoError(t, err)
		at := ing.Status.LoadBalancer.Ingress
		return len(at) == 1 && at[0].IP == address, fmt.Sprint(at)
	})
	code := func(url string) string {
		return r.OK("client", "curl -s -k -o /dev/null -w '%{http_code}' "+url)
	}
	becomes := func(url, want string) {
		t.Helper()
		r.Eventually(url+" answers "+want, func() (bool, string) {
			got := code(url)
			return got == want, got
		})
	}
	becomes("http://plain.example/hostname", "200")
	require.Contains(t, []string{"db-0", "db-1"}, r.OK("client", "curl -s http://plain.example/hostname"))
	require.Equal(t, "plain.example", r.OK("client", "curl -s 'http://plain.example/header?key=X-Forwarded-Host'"))
	require.Equal(t, r.Running("client").Status.PodIP, r.OK("client", "curl -s 'http://plain.example/header?key=X-Real-Ip'"))
	require.Equal(t, "hello", r.OK("client", "curl -s 'http://plain.example/echo?msg=hello'"))
	require.Equal(t, "404", code("http://plain.example/hostname/x"))
	require.Equal(t, "404", code("http://"+address+"/"))
	require.Equal(t, "308", code("http://shop.example/hostname"))
	require.Equal(t, "200", code("https://shop.example/hostname"), "with the default certificate")
	r.Fails("client", "curl -sS https://shop.example/hostname", "certificate")
	r.Event("Ingress", "shop", "SecretNotUsable", "the default certificate is used for shop.example")
	require.Contains(t, r.OK("client", "curl -s http://"+podAddress(r)+":10254/metrics"), `nginx_ingress_controller_requests{`)

	r.Apply(fmt.Sprintf(rules, 81))
	becomes("http://plain.example/hostname", "503")
	r.Apply(fmt.Sprintf(rules, 80))
	becomes("http://plain.example/hostname", "200")
	r.T.Log(strings.TrimSpace(r.OK("client", "curl -s http://"+podAddress(r)+":10254/metrics | grep ^process_resident_memory_bytes")))
}

// podAddress is the address of the controller's pod.
func podAddress(r *clustertest.Rig) string {
	r.T.Helper()
	list, err := r.Kube.CoreV1().Pods(ingress.Namespace).List(r.T.Context(), metav1.ListOptions{})
	require.NoError(r.T, err)
	require.NotEmpty(r.T, list.Items)
	return list.Items[0].Status.PodIP
}
