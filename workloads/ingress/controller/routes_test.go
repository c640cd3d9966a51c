package controller_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/workloads/ingress/controller"
)

func all(lists ...[]runtime.Object) []runtime.Object { return slices.Concat(lists...) }

func TestRoutes(t *testing.T) {
	a, b, c := server(t, "a"), server(t, "b"), server(t, "c")
	e := newEdge(t, nil, all(service("a", a), service("b", b), service("c", c), service("idle"), []runtime.Object{
		ingress(t, `{metadata: {name: paths}, spec: {rules: [{host: Shop.example, http: {paths: [
			{path: /exact, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}},
			{path: /pre, pathType: Prefix, backend: {service: {name: a, port: {name: http}}}},
			{path: /pre/longer, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}},
			{path: /impl, pathType: ImplementationSpecific, backend: {service: {name: c, port: {number: 80}}}},
			{path: /slash/, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}},
			{path: /idle, pathType: Prefix, backend: {service: {name: idle, port: {number: 80}}}},
			{path: /missing, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}},
			{path: /port, pathType: Prefix, backend: {service: {name: a, port: {number: 81}}}},
			{path: /portname, pathType: Prefix, backend: {service: {name: a, port: {name: web}}}}]}}]}}`),
		ingress(t, `{metadata: {name: wild}, spec: {rules: [{host: "*.shop.example", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}}]}}`),
		ingress(t, `{metadata: {name: any}, spec: {rules: [{http: {paths: [{path: /any, pathType: Prefix, backend: {service: {name: c, port: {number: 80}}}}]}}]}}`),
		ingress(t, `{metadata: {name: rewrite, annotations: {nginx.ingress.kubernetes.io/rewrite-target: /v1/$2}}, spec: {rules: [{host: api.example, http: {paths: [
			{path: "/api(/|$)(.*)", pathType: ImplementationSpecific, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`),
		ingress(t, `{metadata: {name: rest}, spec: {defaultBackend: {service: {name: c, port: {number: 80}}}, rules: [{host: rest.example, http: {paths: [
			{path: /a, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`),
		ingress(t, `{metadata: {name: other}, spec: {ingressClassName: other, rules: [{host: other.example, http: {paths: [
			{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`),
	})...)
	for url, want := range map[string]string{
		"shop.example/exact?q=1": "a /exact?q=1", "shop.example:8080/exact": "a /exact", "SHOP.example/pre": "a /pre", "shop.example/pre/x": "a /pre/x",
		"shop.example/pre/longer/x": "b /pre/longer/x", "shop.example/pre/longerx": "a /pre/longerx", "shop.example/impl": "c /impl", "shop.example/implement": "c /implement",
		"shop.example/slash": "a /slash", "shop.example//pre/../pre/%20x": "a //pre/../pre/%20x",
		"one.shop.example/": "b /", "elsewhere.example/any": "c /any", "api.example/api/x/y?z=1": "a /v1/x/y?z=1", "api.example/api": "a /v1/",
		"rest.example/a": "a /a", "rest.example/other": "c /other",
	} {
		status, body, _ := e.get(t, url)
		require.Equal(t, http.StatusOK, status, url)
		require.Equal(t, want, body, url)
	}
	for url, want := range map[string]int{
		"shop.example/exact/": 404, "shop.example/": 404, "shop.example/prefix": 404, "shop.example/any": 404, "two.one.shop.example/": 404, "elsewhere.example/": 404,
		"other.example/": 404, "api.example/apis": 404, "shop.example/idle": 503, "shop.example/missing": 503, "shop.example/port": 503, "shop.example/portname": 503,
	} {
		status, body, _ := e.get(t, url)
		require.Equal(t, want, status, url)
		require.Contains(t, body, "<hr><center>nginx</center>", url)
	}
	text := e.metrics(t)
	for _, want := range []string{
		`nginx_ingress_controller_orphan_ingress{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod",ingress="paths",namespace="shop",type="no-service"} 1`,
		`nginx_ingress_controller_orphan_ingress{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod",ingress="wild",namespace="shop",type="no-endpoint"} 0`,
		`nginx_ingress_controller_requests{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod",host="shop.example",ingress="paths",method="GET",namespace="shop",path="/idle",service="idle",status="503"} 1`,
		`nginx_ingress_controller_config_last_reload_successful{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod"} 1`,
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, e.log.String(), `"GET /exact?q=1 HTTP/1.1" 200 12 "-" "Go-http-client/1.1"`)
}

func TestClassesAndDefaults(t *testing.T) {
	a, b := server(t, "a"), server(t, "b")
	old := ingress(t, `{metadata: {name: old, annotations: {kubernetes.io/ingress.class: nginx}}, spec: {rules: [{host: old.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`)
	old.Spec.IngressClassName = nil
	none := ingress(t, `{metadata: {name: none}, spec: {rules: [{host: none.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`)
	none.Spec.IngressClassName = nil
	objects := all(service("a", a), service("b", b), []runtime.Object{old, none})
	e := newEdge(t, func(o *controller.Options) { o.DefaultBackend = "shop/b" }, objects...)
	for url, want := range map[string]string{"old.example/": "a /", "none.example/": "b /", "x/y": "b /y"} {
		_, body, _ := e.get(t, url)
		require.Equal(t, want, body, url)
	}
	e = newEdge(t, func(o *controller.Options) { o.WithoutClass = true }, objects...)
	_, body, _ := e.get(t, "none.example/")
	require.Equal(t, "a /", body)
}

func TestFollowsChanges(t *testing.T) {
	a, b := server(t, "a"), server(t, "b")
	ctx := t.Context()
	publish := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "front", Namespace: "ingress-nginx"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.1.1"}}
	e := newEdge(t, func(o *controller.Options) { o.PublishService = "ingress-nginx/front" }, all(service("a", a), service("b", b), []runtime.Object{publish})...)
	body := func() string { _, body, _ := e.get(t, "shop.example/"); return body }
	ing, err := e.kube.NetworkingV1().Ingresses("shop").Create(ctx, ingress(t, `{metadata: {name: web}, spec: {rules: [{host: shop.example, http: {paths: [
		{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`), metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, "the ingress is served", func() bool { return body() == "a /" })
	eventually(t, "its status has the address of the service", func() bool {
		ing, err = e.kube.NetworkingV1().Ingresses("shop").Get(ctx, "web", metav1.GetOptions{})
		require.NoError(t, err)
		return len(ing.Status.LoadBalancer.Ingress) == 1 && ing.Status.LoadBalancer.Ingress[0].IP == "10.96.1.1"
	})
	eventually(t, "an event tells", func() bool {
		list, err := e.kube.CoreV1().Events("shop").List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		return slices.ContainsFunc(list.Items, func(ev corev1.Event) bool { return ev.Reason == "Sync" && ev.InvolvedObject.Name == "web" })
	})
	ing.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "b"
	_, err = e.kube.NetworkingV1().Ingresses("shop").Update(ctx, ing, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, "the other service is served", func() bool { return body() == "b /" })
	slice, err := e.kube.DiscoveryV1().EndpointSlices("shop").Get(ctx, "b-0", metav1.GetOptions{})
	require.NoError(t, err)
	*slice.Endpoints[0].Conditions.Ready = false
	_, err = e.kube.DiscoveryV1().EndpointSlices("shop").Update(ctx, slice, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, "nothing is ready", func() bool { status, _, _ := e.get(t, "shop.example/"); return status == 503 })
	require.NoError(t, e.kube.NetworkingV1().Ingresses("shop").Delete(ctx, "web", metav1.DeleteOptions{}))
	eventually(t, "the ingress is gone", func() bool { status, _, _ := e.get(t, "shop.example/"); return status == 404 })
}

func TestRejected(t *testing.T) {
	a := server(t, "a")
	path := func(name, extra string) runtime.Object {
		return ingress(t, `{metadata: {name: `+name+`, annotations: {`+extra+`}}, spec: {rules: [{host: `+name+`.example, http: {paths: [{path: "/(", pathType: ImplementationSpecific, backend: {service: {name: a, port: {number: 80}}}},
			{path: /ok, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`)
	}
	e := newEdge(t, nil, all(service("a", a), []runtime.Object{
		path("pattern", `nginx.ingress.kubernetes.io/use-regex: "true"`), path("timeout", `nginx.ingress.kubernetes.io/proxy-read-timeout: soon`),
		path("protocol", `nginx.ingress.kubernetes.io/backend-protocol: FCGI`), path("size", `nginx.ingress.kubernetes.io/proxy-body-size: big`),
	})...)
	for host, want := range map[string]int{"pattern": 200, "timeout": 404, "protocol": 404, "size": 404} {
		status, _, _ := e.get(t, host+".example/ok")
		require.Equal(t, want, status, host)
	}
	require.Contains(t, e.metrics(t), `config_last_reload_successful{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod"} 0`)
	for name, want := range map[string]string{"pattern": "missing closing )", "timeout": `invalid value "soon"`, "protocol": `protocol "FCGI" is not supported`, "size": `invalid value "big"`} {
		eventually(t, name+" is told", func() bool {
			list, err := e.kube.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			return slices.ContainsFunc(list.Items, func(ev corev1.Event) bool {
				return ev.Type == corev1.EventTypeWarning && ev.InvolvedObject.Name == name && len(ev.Message) > 0 && contains(ev.Message, want)
			})
		})
	}
}
