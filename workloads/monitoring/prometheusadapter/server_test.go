package prometheusadapter

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/prometheus-adapter/pkg/config"
)

const rules = `
rules:
- seriesQuery: '{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: ^(.+)_total$, as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[10s])) by (<<.GroupBy>>)
externalRules:
- seriesQuery: queue_length
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
`

// prometheus has two series, and answers the two queries that the rules make of them.
func prometheus(t *testing.T) *httptest.Server {
	answers := map[string]string{
		`sum(rate(hits_total{namespace="shop",pod=~"web-1|web-2"}[10s])) by (pod)`: `{"metric":{"pod":"web-1"},"value":[1,"2.5"]},{"metric":{"pod":"web-2"},"value":[1,"4"]}`,
		`sum(queue_length{queue="mail",namespace="shop"})`:                         `{"metric":{},"value":[1,"7"]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/series":
			name := `{"__name__":"hits_total","namespace":"shop","pod":"web-1"}`
			if r.FormValue("match[]") == "queue_length" {
				name = `{"__name__":"queue_length","namespace":"shop","queue":"mail"}`
			}
			_, _ = io.WriteString(w, `{"status":"success","data":[`+name+`]}`)
		case "/api/v1/query":
			if _, err := model.ParseDuration(r.FormValue("timeout")); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"timeout\""}`)
				return
			}
			result, ok := answers[r.FormValue("query")]
			if !ok {
				t.Errorf("query %s", r.FormValue("query"))
			}
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[`+result+`]}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// cluster is an API server with two pods; alice's token lets her do everything, everybody else's nothing.
func cluster(t *testing.T) *httptest.Server {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any
		switch path := r.URL.Path; {
		case r.URL.Query().Get("watch") != "":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		case path == "/api":
			answer = &metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
		case path == "/apis":
			answer = &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		case path == "/api/v1":
			answer = &metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1", APIResources: []metav1.APIResource{
					{Name: "pods", SingularName: "pod", Kind: "Pod", Namespaced: true, Verbs: metav1.Verbs{"get", "list"}},
					{Name: "namespaces", SingularName: "namespace", Kind: "Namespace", Verbs: metav1.Verbs{"get", "list"}},
				},
			}
		case path == "/api/v1/namespaces/shop/pods":
			answer = &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{
				{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop"}}, {ObjectMeta: metav1.ObjectMeta{Name: "web-2", Namespace: "shop"}},
			}}
		case strings.HasSuffix(path, "/configmaps/extension-apiserver-authentication"):
			answer = &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: settings()}
		case strings.HasSuffix(path, "/configmaps"):
			answer = &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{Kind: "ConfigMapList", APIVersion: "v1"}}
		case strings.HasSuffix(path, "reviews"):
			answer = review(t, r)
		default:
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server
}

func settings() map[string]string {
	return map[string]string{
		"requestheader-allowed-names": `[]`, "requestheader-username-headers": `["X-Remote-User"]`, "requestheader-uid-headers": `[]`,
		"requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-extra-headers-prefix": `[]`,
		"client-ca-file": authority, "requestheader-client-ca-file": authority,
	}
}

// review knows tokens, which are their users' names, and lets alice do everything.
func review(t *testing.T, r *http.Request) any {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	switch asked := decoded.(type) {
	case *authenticationv1.TokenReview:
		asked.APIVersion, asked.Kind = "authentication.k8s.io/v1", "TokenReview"
		asked.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: asked.Spec.Token}}
		return asked
	case *authorizationv1.SubjectAccessReview:
		asked.APIVersion, asked.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
		asked.Status.Allowed = asked.Spec.User == "alice"
		return asked
	}
	return nil
}

// start runs the program's server and returns how to ask it.
func start(t *testing.T, rules string) func(user, path string) (int, string) {
	t.Helper()
	api, source := cluster(t), prometheus(t)
	at, err := url.Parse(source.URL)
	require.NoError(t, err)
	read, err := config.FromYAML([]byte(rules))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := newServer(ctx, params{
		access: &rest.Config{Host: api.URL, TLSClientConfig: rest.TLSClientConfig{
			CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}),
		}},
		listener: l, host: "prometheus-adapter-0", dial: (&net.Dialer{}).DialContext, rules: read,
		options: options{prometheus: at, relist: time.Second, maxAge: time.Minute, discovery: time.Minute},
	})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		api.CloseClientConnections()
		require.NoError(t, <-ended)
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(client.CloseIdleConnections)
	return func(user, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+user)
		res, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
}

func TestAnswersFromPrometheus(t *testing.T) {
	ask := start(t, rules)
	for _, version := range []string{"v1beta1", "v1beta2"} {
		path := "/apis/custom.metrics.k8s.io/" + version + "/namespaces/shop/pods/*/hits_per_second"
		require.Eventually(t, func() bool { code, _ := ask("alice", path); return code == http.StatusOK }, 30*time.Second, 50*time.Millisecond)
		_, body := ask("alice", path)
		require.Contains(t, body, `"name":"web-1"`, version)
		require.Contains(t, body, `"value":"2500m"`, version)
		require.Contains(t, body, `"value":"4"`, version)
		code, body := ask("mallory", path)
		require.Equal(t, http.StatusForbidden, code, body)
	}
	path := "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue_length?labelSelector=queue%3Dmail"
	require.Eventually(t, func() bool { code, _ := ask("alice", path); return code == http.StatusOK }, 30*time.Second, 50*time.Millisecond)
	_, body := ask("alice", path)
	require.Contains(t, body, `"value":"7"`)
	code, body := ask("alice", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/nothing")
	require.Equal(t, http.StatusNotFound, code, body)
	code, body = ask("alice", "/openapi/v2")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "custom_metrics.v1beta2.MetricValueList")
}

// TestNoRulesNoAPI: a group without rules is not served, as upstream.
func TestNoRulesNoAPI(t *testing.T) {
	ask := start(t, rules[:strings.Index(rules, "externalRules")])
	require.Eventually(t, func() bool {
		code, _ := ask("alice", "/apis/custom.metrics.k8s.io/v1beta2")
		return code == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	code, _ := ask("alice", "/apis/external.metrics.k8s.io/v1beta1")
	require.Equal(t, http.StatusNotFound, code)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--config=/c", "--prometheus-url=http://p:9090/", "--metrics-relist-interval=5s"})
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, o.maxAge, "as long as the relist interval, where nothing is said")
	for _, args := range [][]string{
		{}, {"--config=/c", "extra"}, {"--config=/c", "--metrics-relist-interval=5s", "--metrics-max-age=1s"}, {"--config=/c", "--prometheus-url=x"},
		{"--config=/c", "--metrics-relist-interval=0s"}, {"--no-such-flag"},
	} {
		_, err := parseOptions(args)
		require.Error(t, err, args)
	}
}
