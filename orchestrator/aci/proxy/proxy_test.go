package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// TestOnly: on a cluster with other users, only the namespaces of the trial show.
func TestOnly(t *testing.T) {
	t.Parallel()
	only := func(c *proxy.Config) { c.Rules.Only = []string{"hotel", "clients"} }
	for _, tc := range []struct {
		path, answer string
		keeps, hides []string
		code         int
	}{
		{path: "/api/v1/pods", answer: list("PodList", labPod, goodPod, `{"metadata":{"name":"theirs","namespace":"shop"}}`), keeps: []string{"geo-1"}, hides: []string{"p2", "theirs"}},
		{path: "/api/v1/namespaces", answer: list("NamespaceList", `{"metadata":{"name":"shop"}}`, `{"metadata":{"name":"hotel"}}`), keeps: []string{"hotel"}, hides: []string{"shop"}},
		{path: "/api/v1/namespaces/shop/secrets/s", code: 404, keeps: []string{"NotFound"}},
		{path: "/api/v1/nodes", answer: list("NodeList", `{"metadata":{"name":"n1"}}`), keeps: []string{"n1"}},
	} {
		u := &upstream{answers: map[string]string{"GET " + tc.path: tc.answer}}
		s, client := start(t, u, only)
		code, body := ask(t, s, client, http.MethodGet, tc.path, "")
		require.Equal(t, max(tc.code, http.StatusOK), code, tc.path)
		for _, text := range tc.keeps {
			require.Contains(t, body, text, tc.path)
		}
		for _, text := range tc.hides {
			require.NotContains(t, body, text, tc.path)
		}
	}
	names := []byte(`{"status":"success","data":["geo","shop"]}`)
	require.JSONEq(t, string(names), string(proxy.Rules{Only: []string{"hotel"}}.FilterTelemetry(names)), "names of a list may be those of anything")
}

// TestReads holds every class of path that can be read: what must be gone and what must be left.
func TestReads(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path, answer string
		accept             string
		keeps, hides       []string
		code               int
	}{
		{name: "pods of all namespaces", path: "/api/v1/pods", answer: list("PodList", chaosPod, labPod, goodPod), keeps: []string{"geo-1"}, hides: []string{"p1", "p2", "gameday.dev", "remainingItemCount"}},
		{name: "pods of a hidden namespace", path: "/api/v1/namespaces/lab/pods", answer: list("PodList", labPod), keeps: []string{`"items":[]`}, hides: []string{"p2"}},
		{name: "namespaces", path: "/api/v1/namespaces", answer: list("NamespaceList", `{"metadata":{"name":"chaos-mesh"}}`, `{"metadata":{"name":"lab"}}`, `{"metadata":{"name":"hotel"}}`), keeps: []string{"hotel"}, hides: []string{"chaos", "lab"}},
		{name: "a hidden namespace", path: "/api/v1/namespaces/chaos-mesh", code: 404, keeps: []string{`namespaces \"chaos-mesh\" not found`}},
		{name: "an object in a hidden namespace", path: "/api/v1/namespaces/lab/secrets/s", code: 404, keeps: []string{"NotFound"}},
		{name: "logs in a hidden namespace", path: "/api/v1/namespaces/chaos-mesh/pods/p/log", code: 404},
		{name: "a hidden group's objects", path: "/apis/chaos-mesh.org/v1alpha1/networkchaos", code: 404, keeps: []string{"404 page not found"}},
		{name: "a hidden group's objects, encoded", path: "/apis/chaos%2Dmesh.org/v1alpha1/networkchaos", code: 404},
		{name: "a hidden group's discovery", path: "/apis/chaos-mesh.org", code: 404},
		{name: "a hidden version's discovery", path: "/apis/chaos-mesh.org/v1alpha1", code: 404},
		{name: "discovery", path: "/apis", answer: `{"kind":"APIGroupList","groups":[{"name":"chaos-mesh.org"},{"name":"apps"}]}`, keeps: []string{"apps"}, hides: []string{"chaos"}},
		{name: "aggregated discovery", path: "/apis", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", answer: `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":"chaos-mesh.org"}},{"metadata":{"name":"apps"}}]}`, keeps: []string{"apps"}, hides: []string{"chaos"}},
		{name: "openapi v2", path: "/openapi/v2", accept: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf, application/json", answer: `{"paths":{"/apis/chaos-mesh.org/v1alpha1/x":{},"/api/v1/pods":{}},"definitions":{"org.chaos-mesh.v1alpha1.NetworkChaos":{},"io.k8s.Pod":{}}}`, keeps: []string{"/api/v1/pods", "io.k8s.Pod"}, hides: []string{"chaos"}},
		{name: "openapi v3", path: "/openapi/v3", answer: `{"paths":{"apis/chaos-mesh.org/v1alpha1":{"serverRelativeURL":"x"},"api/v1":{}}}`, keeps: []string{"api/v1"}, hides: []string{"chaos"}},
		{name: "a hidden group's openapi", path: "/openapi/v3/apis/chaos-mesh.org/v1alpha1", code: 404},
		{name: "crds", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", answer: list("CustomResourceDefinitionList", chaosCRD, goodCRD), keeps: []string{"foos"}, hides: []string{"chaos"}},
		{name: "a hidden crd", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networkchaos.chaos-mesh.org", code: 404},
		{name: "an api service", path: "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.chaos-mesh.org", code: 404},
		{name: "events", path: "/api/v1/namespaces/hotel/events", answer: list("EventList", chaosEvent, goodEvent), keeps: []string{"Killing"}, hides: []string{"Applied", "chaos"}},
		{name: "a hidden event", path: "/api/v1/namespaces/hotel/events/x.1", answer: chaosEvent, code: 404, keeps: []string{"NotFound"}, hides: []string{"Applied"}},
		{name: "new events", path: "/apis/events.k8s.io/v1/events", answer: list("EventList", `{"metadata":{"name":"y"},"regarding":{"apiVersion":"chaos-mesh.org/v1alpha1"}}`, `{"metadata":{"name":"z"},"reportingController":"chaos-controller-manager"}`, `{"metadata":{"name":"ok"}}`), keeps: []string{"ok"}, hides: []string{`"y"`, `"z"`}},
		{name: "webhooks", path: "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", answer: list("MutatingWebhookConfigurationList", `{"metadata":{"name":"m1"},"webhooks":[{"name":"a","rules":[{"apiGroups":["chaos-mesh.org"]}]}]}`, `{"metadata":{"name":"m2"},"webhooks":[{"name":"b","clientConfig":{"service":{"namespace":"chaos-mesh"}}},{"name":"c"}]}`), keeps: []string{"m2", `"c"`}, hides: []string{"m1", `"b"`}},
		{name: "cluster roles", path: "/apis/rbac.authorization.k8s.io/v1/clusterroles", answer: list("ClusterRoleList", `{"metadata":{"name":"r1"},"rules":[{"apiGroups":["chaos-mesh.org"]}]}`, `{"metadata":{"name":"r2"},"rules":[{"apiGroups":["apps","chaos-mesh.org"]}]}`), keeps: []string{"r2", "apps"}, hides: []string{"r1", "chaos"}},
		{name: "bindings", path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", answer: list("ClusterRoleBindingList", `{"metadata":{"name":"b1"},"subjects":[{"namespace":"chaos-mesh","name":"x"}]}`, `{"metadata":{"name":"b2"},"subjects":[{"namespace":"hotel","name":"y"}]}`), keeps: []string{"b2"}, hides: []string{"b1"}},
		{name: "node", path: "/api/v1/nodes/n1", answer: `{"kind":"Node","metadata":{"name":"n1"},"status":{"images":[{"names":["ghcr.io/chaos-mesh/chaos-daemon:v2"]},{"names":["registry.local/hotel/geo:1"]}]}}`, keeps: []string{"hotel/geo"}, hides: []string{"chaos"}},
		{name: "the kubelet behind a node", path: "/api/v1/nodes/n1/proxy/pods", code: 403},
		{name: "the API server's metrics", path: "/metrics", code: 403},
		{name: "profiles", path: "/debug/pprof/profile", code: 403},
		{name: "climbing paths", path: "/api/v1/namespaces/hotel/../chaos-mesh/pods", code: 400},
		{name: "managed fields", path: "/apis/apps/v1/namespaces/hotel/deployments/geo", answer: `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"geo","annotations":{"gameday.dev/x":"1","kubectl.kubernetes.io/last-applied-configuration":"{\"metadata\":{\"labels\":{\"gameday.dev/y\":\"2\"}}}"},"managedFields":[{"manager":"gameday","fieldsV1":{}},{"manager":"kubectl","fieldsV1":{"f:metadata":{"f:labels":{"f:gameday.dev/y":{},"f:app":{}}}}}],"ownerReferences":[{"apiVersion":"chaos-mesh.org/v1alpha1","name":"w"}]},"spec":{"template":{"metadata":{"labels":{"app":"geo","gameday.dev/z":"3"}}}}}`, keeps: []string{"kubectl", "f:app", `"app":"geo"`}, hides: []string{"gameday", "chaos"}},
		{name: "a table", path: "/api/v1/namespaces/hotel/events", accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", answer: fmt.Sprintf(`{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"N"}],"rows":[{"cells":["hidden"],"object":%s},{"cells":["seen"],"object":%s}]}`, chaosEvent, goodEvent), keeps: []string{"seen", "PartialObjectMetadata"}, hides: []string{"hidden", "Killing"}},
		{name: "metadata only", path: "/api/v1/namespaces/hotel/events", accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", answer: list("EventList", chaosEvent, goodEvent), keeps: []string{"PartialObjectMetadataList", "geo.1"}, hides: []string{"x.1", "Killing"}},
		{name: "protobuf only", path: "/api/v1/pods", accept: "application/vnd.kubernetes.protobuf", code: 406},
		{name: "protobuf preferred", path: "/api/v1/pods", accept: "application/vnd.kubernetes.protobuf,application/json", answer: list("PodList", chaosPod, goodPod), keeps: []string{"geo-1"}, hides: []string{"p1"}},
		{name: "pod metrics", path: "/apis/metrics.k8s.io/v1beta1/pods", answer: list("PodMetricsList", chaosPod, goodPod), keeps: []string{"geo-1"}, hides: []string{"p1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path, _, _ := strings.Cut(tc.path, "?")
			u := &upstream{answers: map[string]string{"GET " + path: tc.answer}}
			s, client := start(t, u)
			headers := []string{"Accept", tc.accept}
			if tc.accept == "" {
				headers = nil
			}
			code, body := ask(t, s, client, http.MethodGet, tc.path, "", headers...)
			want := tc.code
			if want == 0 {
				want = http.StatusOK
			}
			require.Equal(t, want, code, body)
			for _, k := range tc.keeps {
				require.Contains(t, body, k)
			}
			for _, h := range tc.hides {
				require.NotContains(t, body, h)
			}
			if tc.answer != "" {
				r, _ := u.last()
				require.NotContains(t, r.Header.Get("Accept"), "protobuf")
				require.Equal(t, "Bearer admin", r.Header.Get("Authorization"))
			} else {
				require.Zero(t, u.count(http.MethodGet), "the refusal reached the API server")
			}
		})
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()
	const (
		deployments = "/apis/apps/v1/namespaces/hotel/deployments"
		coredns     = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
		liveCoredns = `{"metadata":{"name":"coredns","namespace":"kube-system"},"spec":{"template":{"spec":{"serviceAccountName":"coredns","serviceAccount":"coredns"}}}}`
	)
	for _, tc := range []struct {
		name, method, path, body string
		contentType              string
		live                     string // what a GET of the object gives
		code                     int
		want                     string
		passed                   string // what must be in the body that reaches the API server
	}{
		{name: "create", method: "POST", path: deployments, body: `{"metadata":{"name":"x"}}`, code: 200, passed: `"x"`},
		{name: "create in a hidden namespace", method: "POST", path: "/api/v1/namespaces/lab/pods", body: `{}`, code: 404, want: `namespaces \"lab\" not found`},
		{name: "create a hidden namespace", method: "POST", path: "/api/v1/namespaces", body: `{"metadata":{"name":"chaos-mesh"}}`, code: 403},
		{name: "create a hidden crd", method: "POST", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body: `{"metadata":{"name":"networkchaos.chaos-mesh.org"}}`, code: 403},
		{name: "create in a hidden group", method: "POST", path: "/apis/chaos-mesh.org/v1alpha1/namespaces/hotel/podchaos", body: `{}`, code: 404},
		{name: "delete in a hidden group", method: "DELETE", path: "/apis/chaos-mesh.org/v1alpha1/namespaces/hotel/networkchaos/x", code: 404},
		{name: "delete all of a hidden namespace", method: "DELETE", path: "/api/v1/namespaces/lab/pods", code: 200, want: "Success"},
		{name: "delete a hidden namespace", method: "DELETE", path: "/api/v1/namespaces/lab", code: 404},
		{name: "delete a hidden webhook", method: "DELETE", path: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/v", live: `{"metadata":{"name":"v"},"webhooks":[{"rules":[{"apiGroups":["chaos-mesh.org"]}]}]}`, code: 404},
		{name: "patch a hidden event", method: "PATCH", path: "/api/v1/namespaces/hotel/events/x.1", body: `{}`, contentType: "application/merge-patch+json", live: chaosEvent, code: 404},
		{name: "delete all webhooks", method: "DELETE", path: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", code: 403},
		{name: "replace keeps hidden marks", method: "PUT", path: deployments + "/geo", body: `{"metadata":{"name":"geo","labels":{"app":"geo"}},"spec":{"template":{"metadata":{}}}}`, live: `{"metadata":{"name":"geo","labels":{"gameday.dev/a":"1"}},"spec":{"template":{"metadata":{"annotations":{"gameday.dev/b":"2"}}}}}`, code: 200, passed: `"gameday.dev/b":"2"`},
		{name: "exec of a cluster component", method: "POST", path: "/api/v1/namespaces/kube-system/pods/coredns/exec", code: 403},
		{name: "token of a cluster component", method: "POST", path: "/api/v1/namespaces/kube-system/serviceaccounts/x/token", body: `{}`, code: 403},
		{name: "pod among cluster components", method: "POST", path: "/api/v1/namespaces/kube-system/pods", body: `{}`, code: 403},
		{name: "edit a cluster component's configuration", method: "PATCH", path: "/api/v1/namespaces/kube-system/configmaps/coredns", body: `{}`, contentType: "application/merge-patch+json", code: 200},
		{name: "apply a cluster component's token", method: "PATCH", path: "/api/v1/namespaces/kube-system/secrets/t", body: `{"type":"kubernetes.io/service-account-token"}`, contentType: "application/apply-patch+yaml", code: 403},
		{name: "workload among cluster components", method: "POST", path: "/apis/apps/v1/namespaces/kube-system/deployments", body: `{}`, code: 403},
		{name: "another account for a cluster component", method: "PATCH", path: coredns, body: `{"spec":{"template":{"spec":{"serviceAccountName":"namespace-controller"}}}}`, contentType: "application/strategic-merge-patch+json", live: liveCoredns, code: 403},
		{name: "the same, escaped", method: "PATCH", path: coredns, body: `{"spec":{"template":{"spec":{"service\u0041ccountName":"namespace-controller"}}}}`, contentType: "application/merge-patch+json", live: liveCoredns, code: 403},
		{name: "the same, as a list of steps", method: "PATCH", path: coredns, body: `[{"op":"replace","path":"/spec/template/spec/serviceAccountName","value":"namespace-controller"}]`, contentType: "application/json-patch+json", live: liveCoredns, code: 403},
		{name: "the same, as a replacement", method: "PUT", path: coredns, body: `{"metadata":{"name":"coredns"},"spec":{"template":{"spec":{"serviceAccountName":"namespace-controller"}}}}`, live: liveCoredns, code: 403},
		{name: "a workload that is applied and not there", method: "PATCH", path: coredns, body: `{"spec":{"template":{"spec":{"serviceAccountName":"coredns"}}}}`, contentType: "application/apply-patch+yaml", code: 403},
		{name: "a cluster component keeps its account", method: "PATCH", path: coredns, body: `{"spec":{"replicas":2,"template":{"spec":{"serviceAccountName":"coredns"}}}}`, contentType: "application/merge-patch+json", live: liveCoredns, code: 200, passed: `"replicas":2`},
		{name: "scale a cluster component", method: "PATCH", path: coredns + "/scale", body: `{"spec":{"replicas":2}}`, contentType: "application/merge-patch+json", code: 200},
		{name: "cbor", method: "POST", path: deployments, body: "x", contentType: "application/cbor", code: 415},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			u := &upstream{answers: map[string]string{
				tc.method + " " + tc.path: `{"kind":"Deployment","metadata":{"name":"ok"}}`, "GET " + tc.path: tc.live,
			}}
			s, client := start(t, u)
			contentType := tc.contentType
			if contentType == "" {
				contentType = "application/json"
			}
			code, body := ask(t, s, client, tc.method, tc.path, tc.body, "Content-Type", contentType)
			require.Equal(t, tc.code, code, body)
			require.Contains(t, body, tc.want)
			if tc.code >= 400 || tc.want == "Success" {
				require.Zero(t, u.count(tc.method), "the refused write reached the API server")
				return
			}
			_, sent := u.last()
			require.Contains(t, sent, tc.passed)
		})
	}
}

func TestProtobufBodies(t *testing.T) {
	t.Parallel()
	u := &upstream{answers: map[string]string{"POST /api/v1/namespaces/hotel/configmaps": `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"cm"}}`}}
	s, _ := start(t, u)
	config := s.RESTConfig()
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	_, err = client.CoreV1().ConfigMaps("hotel").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "cm"}, Data: map[string]string{"k": "v"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	r, body := u.last()
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.JSONEq(t, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"cm"},"data":{"k":"v"}}`, body)
}

func TestSelectorsOfHiddenLabels(t *testing.T) {
	t.Parallel()
	u := &upstream{answers: map[string]string{"GET /api/v1/pods": list("PodList")}}
	s, client := start(t, u)
	ask(t, s, client, http.MethodGet, "/api/v1/pods?labelSelector=gameday.dev%2Ftrial%3D1", "")
	r, _ := u.last()
	require.NotContains(t, r.URL.Query().Get("labelSelector"), "gameday")
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	u := &upstream{answers: map[string]string{"GET /api/v1/pods": list("PodList", goodPod)}}
	s, client := start(t, u)
	code, _ := ask(t, s, client, http.MethodGet, "/api/v1/pods", "", "Authorization", "Bearer wrong")
	require.Equal(t, http.StatusUnauthorized, code)
	code, body := ask(t, s, client, http.MethodGet, "/api/v1/pods", "", "Impersonate-User", "system:admin")
	require.Equal(t, http.StatusForbidden, code)
	require.Contains(t, body, "impersonation")

	scoped, end := s.Scoped(t.Context())
	other, err := rest.HTTPClientFor(scoped)
	require.NoError(t, err)
	code, _ = ask(t, s, other, http.MethodGet, "/api/v1/pods", "")
	require.Equal(t, http.StatusOK, code)
	end()
	code, _ = ask(t, s, other, http.MethodGet, "/api/v1/pods", "")
	require.Equal(t, http.StatusUnauthorized, code)
}

// TestListsComeWhole: the token of a page would name the last object of the page, also one that nobody may see.
func TestListsComeWhole(t *testing.T) {
	t.Parallel()
	u := &upstream{answers: map[string]string{"GET /api/v1/pods": list("PodList", goodPod)}}
	s, client := start(t, u)
	code, body := ask(t, s, client, http.MethodGet, "/api/v1/pods?limit=1&continue=abc&labelSelector=app%3Dgeo", "")
	require.Equal(t, http.StatusOK, code, body)
	r, _ := u.last()
	require.Equal(t, "labelSelector=app%3Dgeo", r.URL.RawQuery)
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	prom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.FormValue("query"), "{") // It comes with matchers.
		_, _ = io.WriteString(w, map[string]string{
			"/api/v1/query":  `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","namespace":"chaos-mesh"},"value":[1,"1"]},{"metric":{"__name__":"up","namespace":"hotel","query":"` + name + `"},"value":[1,"1"]},{"metric":{"__name__":"chaos_mesh_x"},"value":[1,"1"]}]}}`,
			"/api/v1/labels": `{"status":"success","data":["__name__","chaos_mesh_kind"]}`,
		}[r.URL.Path])
	}))
	t.Cleanup(prom.Close)
	s, client := start(t, &upstream{}, func(c *proxy.Config) { c.Prometheus = proxy.Endpoint{BaseURL: prom.URL} })
	_, body := ask(t, s, client, http.MethodGet, "/prometheus/api/v1/query?query=up", "")
	require.Contains(t, body, `"query":"up"`)
	require.NotContains(t, body, "chaos")
	_, body = ask(t, s, client, http.MethodPost, "/prometheus/api/v1/query", "query=post", "Content-Type", "application/x-www-form-urlencoded")
	require.Contains(t, body, `"query":"post"`)
	_, body = ask(t, s, client, http.MethodGet, "/prometheus/api/v1/labels", "")
	require.NotContains(t, body, "chaos")
	for path, code := range map[string]int{
		"/prometheus/-/reload": 403, "/prometheus/api/v1/admin/tsdb/delete_series": 403, "/prometheus/api/v1/write": 403, "/jaeger/api/services": 503,
		"/prometheus/api/v1/label/../query": 403, "/prometheus/api/v1/label/%2e%2e/query": 403, "/jaeger/api/traces/../../x": 403,
	} {
		got, _ := ask(t, s, client, http.MethodPost, path, "")
		require.Equal(t, code, got, path)
	}
}
