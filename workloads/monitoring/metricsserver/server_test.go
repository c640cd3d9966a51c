package metricsserver

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
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// cluster plays the API server and the kubelet of the one node.
type cluster struct {
	t    *testing.T
	ca   string // The front proxy's authority.
	port int32
	asks atomic.Int64 // How often the kubelet was asked.
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") != "" { // The client lists instead.
		status := apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil).Status()
		status.APIVersion, status.Kind = "v1", "Status"
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Code))
		_ = json.NewEncoder(w).Encode(status)
		return
	}
	if r.URL.Query().Get("watch") != "" {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	meta := metav1.ListMeta{ResourceVersion: "1"}
	var answer any
	switch r.URL.Path {
	case "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication":
		answer = c.settings()
	case "/api/v1/namespaces/kube-system/configmaps":
		answer = &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}, ListMeta: meta, Items: []corev1.ConfigMap{*c.settings()}}
	case "/api/v1/nodes":
		answer = &corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, ListMeta: meta, Items: []corev1.Node{{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Status: corev1.NodeStatus{
				Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
				DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: c.port}},
			},
		}}}
	case "/api/v1/pods":
		answer = &metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, ListMeta: meta,
			Items: []metav1.PartialObjectMetadata{{
				TypeMeta:   metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
				ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", Labels: map[string]string{"app": "web"}},
			}},
		}
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		answer = c.review(r)
	case resourceMetrics:
		c.kubelet(w)
		return
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// settings say whom the API server's extensions may believe.
func (c *cluster) settings() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "extension-apiserver-authentication", Namespace: metav1.NamespaceSystem},
		Data: map[string]string{
			"client-ca-file": c.ca, "requestheader-client-ca-file": c.ca, "requestheader-allowed-names": `["front-proxy-client"]`,
			"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`,
			"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`, "requestheader-uid-headers": `["X-Remote-Uid"]`,
		},
	}
}

// review lets alice do everything.
func (c *cluster) review(r *http.Request) any {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		c.t.Error(err)
		return nil
	}
	sar := decoded.(*authorizationv1.SubjectAccessReview)
	sar.APIVersion, sar.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	sar.Status.Allowed = sar.Spec.User == "alice"
	return sar
}

// kubelet answers as if half a core had been used since it was last asked, which it pretends was a second ago.
func (c *cluster) kubelet(w http.ResponseWriter) {
	n := c.asks.Add(1)
	at := time.Unix(1700000000+n, 0).UnixMilli()
	line := func(name, labels string, v float64) {
		_, _ = io.WriteString(w, name+labels+" "+strconv.FormatFloat(v, 'f', -1, 64)+" "+strconv.FormatInt(at, 10)+"\n")
	}
	pod := `{container="web",namespace="shop",pod="web-1"}`
	line("container_cpu_usage_seconds_total", pod, 10+float64(n)/2)
	line("container_memory_working_set_bytes", pod, 64<<20)
	line("node_cpu_usage_seconds_total", "", 20+float64(n))
	line("node_memory_working_set_bytes", "", 256<<20)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// start runs the program's server against a cluster and returns how to ask it.
func start(t *testing.T) func(user, path string) (int, string) {
	t.Helper()
	proxyCA, proxyCert := frontProxyCert(t)
	c := &cluster{t: t, ca: proxyCA}
	api := httptest.NewTLSServer(c)
	t.Cleanup(api.Close)
	u, err := url.Parse(api.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	c.port = int32(port)
	access := &rest.Config{Host: api.URL, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(pemOf("CERTIFICATE", api.Certificate().Raw))}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o, err := parseOptions([]string{"--metric-resolution=1s", "--kubelet-use-node-status-port"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := newServer(ctx, access, l, "metrics-server-0", o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		api.CloseClientConnections()
		require.NoError(t, <-ended)
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{proxyCert},
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return func(user, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-Remote-User", user)
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

func TestServesWhatTheKubeletSays(t *testing.T) {
	ask := start(t)
	require.Eventually(t, func() bool { code, _ := ask("alice", "/readyz"); return code == http.StatusOK }, 30*time.Second, 50*time.Millisecond)

	code, body := ask("alice", "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dweb")
	require.Equal(t, http.StatusOK, code, body)
	var pods metricsv1beta1.PodMetricsList
	require.NoError(t, json.Unmarshal([]byte(body), &pods))
	require.Len(t, pods.Items, 1)
	require.Equal(t, "web", pods.Items[0].Containers[0].Name)
	require.Equal(t, int64(500), pods.Items[0].Containers[0].Usage.Cpu().MilliValue())
	require.Equal(t, int64(64<<20), pods.Items[0].Containers[0].Usage.Memory().Value())
	require.Equal(t, time.Second, pods.Items[0].Window.Duration)

	code, body = ask("alice", "/apis/metrics.k8s.io/v1beta1/nodes/node-1")
	require.Equal(t, http.StatusOK, code, body)
	var node metricsv1beta1.NodeMetrics
	require.NoError(t, json.Unmarshal([]byte(body), &node))
	require.Equal(t, int64(1000), node.Usage.Cpu().MilliValue())

	code, body = ask("mallory", "/apis/metrics.k8s.io/v1beta1/nodes")
	require.Equal(t, http.StatusForbidden, code, body)
	require.Contains(t, body, `User \"mallory\" cannot list resource \"nodes\" in API group \"metrics.k8s.io\"`)

	for _, path := range []string{"/openapi/v2", "/openapi/v3/apis/metrics.k8s.io/v1beta1"} {
		code, body = ask("alice", path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, "NodeMetrics", path)
	}
	code, body = ask("alice", "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `metrics_server_kubelet_request_total{success="true"}`)
	code, body = ask("alice", "/livez")
	require.Equal(t, http.StatusOK, code, body)
}
