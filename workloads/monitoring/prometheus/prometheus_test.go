package prometheus

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// container is a Prometheus in a sandboxed tree of files on the operating system's network.
type container struct {
	t       *testing.T
	root    string
	sys     *program.Sys
	address string
}

func newContainer(t *testing.T, args ...string) *container {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	im := Image()
	sys, err := program.System(&im, append([]string{"--web.listen-address", address, "--web.enable-lifecycle"}, args...))
	require.NoError(t, err)
	c := &container{t: t, root: t.TempDir(), sys: sys, address: address}
	tree, err := sandbox.NewTree(&sandbox.Container{Root: c.root, Cwd: "/"})
	require.NoError(t, err)
	sys.Files, sys.Stderr, sys.Env = tree, io.Discard, map[string]string{}
	return c
}

func (c *container) write(name, text string) {
	c.t.Helper()
	file := filepath.Join(c.root, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(c.t, os.WriteFile(file, []byte(text), 0o600))
}

// run runs the program until the test ends.
func (c *container) run() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c.sys) }()
	c.t.Cleanup(func() {
		cancel()
		require.NoError(c.t, <-done)
	})
	require.Eventually(c.t, func() bool { status, _ := c.get("/-/ready", nil); return status == http.StatusOK }, 10*time.Second, 20*time.Millisecond)
}

func (c *container) get(path string, query url.Values) (int, string) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.address+path+"?"+query.Encode(), nil)
	require.NoError(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// eventually waits until the answer of path holds want.
func (c *container) eventually(path string, query url.Values, want ...string) {
	c.t.Helper()
	var last string
	ok := func() bool {
		_, last = c.get(path, query)
		for _, w := range want {
			if !strings.Contains(last, w) {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		require.True(c.t, time.Now().Before(deadline), "%s: want %v in %s", path, want, last)
	}
}

const rule = `
groups:
  - name: g
    rules:
      - alert: TooMany
        expr: requests_total > 0
        for: 500ms
        labels: {severity: %s}
`

func TestScrapeRulesAndReload(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total %d\n", count.Add(1))
	}))
	defer target.Close()
	c := newContainer(t)
	c.write("/etc/prometheus/prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 200ms, scrape_timeout: 150ms, evaluation_interval: 200ms}
rule_files: [rules/*.yaml]
scrape_configs:
  - {job_name: app, static_configs: [{targets: [%q]}]}
  - {job_name: gone, static_configs: [{targets: ["127.0.0.1:1"]}]}
`, strings.TrimPrefix(target.URL, "http://")))
	c.write("/etc/prometheus/rules/a.yaml", fmt.Sprintf(rule, "warning"))
	c.run()

	c.eventually("/api/v1/query", url.Values{"query": {`up`}}, `"job":"gone"},"value":[`, `"job":"app"},"value":[`)
	c.eventually("/api/v1/query", url.Values{"query": {`rate(requests_total[2s]) > 0`}}, `"job":"app"`)
	c.eventually("/api/v1/alerts", nil, `"alertname":"TooMany"`, `"state":"firing"`, `"severity":"warning"`)
	c.eventually("/api/v1/targets", nil, "connection refused")
	c.eventually("/api/v1/metadata", nil, `"help":"Requests."`)
	for path, want := range map[string]string{
		"/api/v1/rules": `"TooMany"`, "/api/v1/labels": `"job"`, "/api/v1/label/job/values": `"gone"`, "/api/v1/series": "no match[] parameter",
		"/api/v1/status/buildinfo": Version, "/api/v1/status/config": "scrape_interval: 200ms", "/api/v1/status/runtimeinfo": "reloadConfigSuccess",
		"/api/v1/status/flags": "storage.tsdb.path", "/-/healthy": "Healthy", "/metrics": "prometheus_tsdb_head_series", "/api/v1/status/tsdb": "headStats",
	} {
		_, body := c.get(path, nil)
		require.Contains(t, body, want, path)
	}

	// A changed rule file is picked up by itself; a broken one leaves the former rules in force and shows.
	c.write("/etc/prometheus/rules/a.yaml", fmt.Sprintf(rule, "page"))
	c.eventually("/api/v1/alerts", nil, `"severity":"page"`)
	c.write("/etc/prometheus/rules/a.yaml", "groups: 3")
	c.eventually("/metrics", nil, "prometheus_config_last_reload_successful 0")
	_, body := c.get("/api/v1/rules", nil)
	require.Contains(t, body, "TooMany")
	resp, err := http.Post("http://"+c.address+"/-/reload", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
}

// apiServer answers lists and watches of pods, to those who carry the token.
func apiServer(t *testing.T, pods ...corev1.Pod) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: pods}
		if r.URL.Query().Get("watch") == "" {
			_ = json.NewEncoder(w).Encode(list)
			return
		}
		if r.URL.Query().Get("sendInitialEvents") == "true" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func TestKubernetesDiscovery(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer secret" {
			fmt.Fprintln(w, "answer 42")
		}
	}))
	defer target.Close()
	u, err := url.Parse(target.URL)
	require.NoError(t, err)
	pod := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "geo-1", UID: "u", Labels: map[string]string{"app": "geo"}, Annotations: map[string]string{"prometheus.io/port": u.Port()}},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "geo"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: u.Hostname()},
	}
	api := apiServer(t, pod)
	c := newContainer(t)
	a, err := url.Parse(api.URL)
	require.NoError(t, err)
	c.sys.Env["KUBERNETES_SERVICE_HOST"], c.sys.Env["KUBERNETES_SERVICE_PORT"] = a.Hostname(), a.Port()
	const account = "/var/run/secrets/kubernetes.io/serviceaccount"
	c.write(account+"/token", "secret\n")
	c.write(account+"/namespace", "monitoring")
	c.write(account+"/ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})))
	c.write("/etc/prometheus/prometheus.yml", `
global: {scrape_interval: 200ms, scrape_timeout: 150ms}
scrape_configs:
  - job_name: pods
    authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
    kubernetes_sd_configs: [{role: pod}]
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port], regex: (.+);(\d+), target_label: __address__, replacement: "$1:$2"}
      - {source_labels: [__meta_kubernetes_pod_label_app], target_label: service}
      - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
`)
	c.run()
	c.eventually("/api/v1/query", url.Values{"query": {"answer"}}, `"service":"geo"`, `"node":"node-1"`, `"42"`)
}

func TestWrongConfigurations(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, config, want string }{
		{"none", "", "read configuration"},
		{"unknown field", "scrape_confs: []", "scrape_confs"},
		{"other discovery", "scrape_configs: [{job_name: a, file_sd_configs: [{files: [x.json]}]}]", "file_sd_configs"},
		{"a header from a file", "scrape_configs: [{job_name: a, http_headers: {X: {files: [/etc/passwd]}}}]", "files of header X are not supported"},
		{"oauth2", "scrape_configs: [{job_name: a, oauth2: {client_id: x, client_secret_file: /etc/passwd, token_url: 'http://x'}}]", "oauth2 is not supported"},
		{"alertmanager", "alerting: {alertmanagers: [{static_configs: [{targets: [x]}]}]}", "not supported"},
		{"rule file", "rule_files: [missing.yaml]", "missing.yaml"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t)
			if tc.config != "" {
				c.write("/etc/prometheus/prometheus.yml", tc.config)
			}
			require.ErrorContains(t, Run(t.Context(), c.sys), tc.want)
		})
	}
	for _, args := range [][]string{{"--nope"}, {"--storage.tsdb.retention.time=5"}, {"extra"}, {"--query.timeout=0s"}} {
		var exit *program.ExitError
		require.ErrorAs(t, Run(t.Context(), newContainer(t, args...).sys), &exit)
		require.Equal(t, 2, exit.Code)
	}
}
