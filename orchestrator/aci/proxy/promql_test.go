package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// measured is what a Prometheus holds of a cluster: node-1 is the application's, the other nodes are known from hidden series only.
const measured = `load 2s
  kube_pod_info{namespace="hotel",pod="geo-1",node="node-1"} 1x60
  kube_pod_info{namespace="chaos-mesh",pod="controller-7",node="node-7"} 1x60
  kube_pod_info{namespace="lab",pod="bench-1",node="node-8"} 1x60
  kube_pod_info{exported_namespace="lab",pod="bench-2",node="node-9"} 1x60
  up{job="Chaos-Daemon",instance="node-6:31766"} 1x60
  up{job="geo",namespace="hotel",instance="node-1:9464"} 1x60
  chaos_mesh_experiments{namespace="hotel",kind="node-5"} 3x60
  requests_total{namespace="hotel",service="geo",chaos_mesh_target="node-4"} 0+5x60
`

// prometheusServer answers as Prometheus does, with its own engine.
type prometheusServer struct {
	engine  *promql.Engine
	storage storage.Queryable
}

func newPrometheus(t *testing.T) *httptest.Server {
	t.Helper()
	loaded := promqltest.LoadedStorage(t, measured)
	t.Cleanup(func() { require.NoError(t, loaded.Close()) })
	p := prometheusServer{promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery), loaded}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server
}

func (p prometheusServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := p.answer(r)
	reply := map[string]any{"status": "success", "data": data}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		reply = map[string]any{"status": "error", "error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(reply)
}

func (p prometheusServer) answer(r *http.Request) (any, error) {
	if r.URL.Path == "/api/v1/query" {
		return p.query(r)
	}
	var matchers []*labels.Matcher
	if match := r.FormValue("match[]"); match != "" {
		var err error
		if matchers, err = parser.NewParser(parser.Options{}).ParseMetricSelector(match); err != nil {
			return nil, err
		}
	}
	querier, err := p.storage.Querier(0, 100_000)
	if err != nil {
		return nil, err
	}
	defer querier.Close()
	var found []string
	switch {
	case r.URL.Path == "/api/v1/labels":
		found, _, err = querier.LabelNames(r.Context(), &storage.LabelHints{}, matchers...)
	case r.URL.Path == "/api/v1/series":
		set := querier.Select(r.Context(), true, nil, matchers...)
		for set.Next() {
			found = append(found, set.At().Labels().String())
		}
		err = set.Err()
	case strings.HasPrefix(r.URL.Path, "/api/v1/label/"):
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/api/v1/label/"), "/values")
		found, _, err = querier.LabelValues(r.Context(), name, &storage.LabelHints{}, matchers...)
	}
	return append([]string{}, found...), err
}

func (p prometheusServer) query(r *http.Request) (any, error) {
	q, err := p.engine.NewInstantQuery(r.Context(), p.storage, nil, r.FormValue("query"), time.Unix(60, 0))
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(r.Context())
	if result.Err != nil {
		return nil, result.Err
	}
	out := []any{}
	switch v := result.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, map[string]any{"metric": s.Metric.Map(), "value": []any{60, fmt.Sprint(s.F)}})
		}
	case promql.Scalar:
		out = append(out, fmt.Sprint(v.V))
	}
	return map[string]any{"resultType": string(result.Value.Type()), "result": out}, nil
}

// TestExpressionsCannotReadWhatIsHidden: functions that forge, drop or count labels work after the series were chosen, so they
// are given none that is hidden.
func TestExpressionsCannotReadWhatIsHidden(t *testing.T) {
	t.Parallel()
	prometheus := newPrometheus(t)
	s, client := start(t, &upstream{}, func(c *proxy.Config) { c.Prometheus = proxy.Endpoint{BaseURL: prometheus.URL} })
	own, hotelClient := start(t, &upstream{}, func(c *proxy.Config) {
		c.Prometheus = proxy.Endpoint{BaseURL: prometheus.URL}
		c.Rules = proxy.Rules{Only: []string{"hotel"}, Words: c.Rules.Words}
	})
	const one = `"value":[60,"1"]`
	for _, tc := range []struct{ query, want string }{
		{`kube_pod_info`, `"pod":"geo-1"`},
		{`count(kube_pod_info)`, one},
		{`sum by (node) (kube_pod_info)`, `"node":"node-1"`},
		{`count({__name__=~".+"})`, `"value":[60,"3"]`},
		{`label_replace(kube_pod_info, "namespace", "x", "", "")`, `"namespace":"x"`},
		{`label_replace(kube_pod_info{namespace="lab"}, "namespace", "x", "", "")`, `"result":[]`},
		{`label_replace(label_replace(up, "job", "x", "", ""), "y", "$1", "instance", "(.*)")`, `"y":"node-1:9464"`},
		{`label_join(kube_pod_info, "namespace", "-", "node", "pod")`, `"namespace":"node-1-geo-1"`},
		{`count_values("namespace", kube_pod_info)`, one},
		{`max_over_time(kube_pod_info{namespace="chaos-mesh"}[10s:2s])`, `"result":[]`},
		{`count_over_time({namespace="lab"}[10s] offset 2s)`, `"result":[]`},
		{`kube_pod_info or on (node) label_replace(kube_pod_info{exported_namespace="lab"}, "exported_namespace", "", "", "")`, `"node":"node-1"`},
		{`-kube_pod_info{pod="bench-1"} + on () group_left (node) kube_pod_info{pod="controller-7"}`, `"result":[]`},
		{`topk(1, chaos_mesh_experiments)`, `"result":[]`},
		{`count({__name__="chaos_mesh_experiments"})`, `"result":[]`},
		{`count({"chaos_mesh_experiments"})`, `"result":[]`},
		{`scalar(count(up{job="Chaos-Daemon"}))`, `NaN`},
		{`rate(requests_total[20s])`, `"service":"geo"`},
		{`requests_total{chaos_mesh_target="node-4"}`, `"result":[]`},
		{`requests_total{chaos_mesh_target=""}`, `"service":"geo"`},
		{`count(requests_total{chaos_mesh_target=~".*4"})`, `"result":[]`},
		{`sum by (chaos_mesh_target) (requests_total)`, `"metric":{}`},
		{`label_replace(requests_total, "x", "$1", ("chaos_mesh_target"), "(.*)")`, `"service":"geo"`},
		{`label_join(requests_total, "x", "", "service", "chaos_mesh_target")`, `"x":"geo"`},
		{`requests_total * on (chaos_mesh_target) group_left label_replace(kube_pod_info, "chaos_mesh_target", "node-4", "", "")`, `"service":"geo"`},
	} {
		code, body := ask(t, s, client, http.MethodGet, "/prometheus/api/v1/query?query="+url.QueryEscape(tc.query), "")
		require.Equal(t, http.StatusOK, code, "%s: %s", tc.query, body)
		require.Contains(t, body, tc.want, tc.query)
		for _, hidden := range []string{"node-4", "node-5", "node-6", "node-7", "node-8", "node-9", "bench", "controller"} {
			require.NotContains(t, body, hidden, tc.query)
		}
	}
	_, body := ask(t, own, hotelClient, http.MethodGet, "/prometheus/api/v1/query?query="+url.QueryEscape(`count(kube_pod_info{namespace!=""})`), "")
	require.Contains(t, body, one, "only the namespace that is seen")
	code, body := ask(t, s, client, http.MethodGet, "/prometheus/api/v1/query?query="+url.QueryEscape(`sum(`), "")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, body, `invalid parameter \"query\": `)
	require.Contains(t, body, "parse error")
	code, body = ask(t, s, client, http.MethodPost, "/prometheus/api/v1/query", "query="+strings.Repeat("(", 20_000), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusBadRequest, code)
	require.Contains(t, body, "longer than")
}

// TestNamesOfHiddenSeries: neither are there ways around by an odd spelling of a path, nor by the lists of labels.
func TestNamesOfHiddenSeries(t *testing.T) {
	t.Parallel()
	prometheus := newPrometheus(t)
	s, client := start(t, &upstream{}, func(c *proxy.Config) { c.Prometheus = proxy.Endpoint{BaseURL: prometheus.URL} })
	for path, want := range map[string]string{
		"/api/v1/%71uery?query=count(kube_pod_info)":                            `"value":[60,"1"]`,
		"/api/v1/label/node/values":                                             `"data":["node-1"]`,
		"/api/v1/label/node/values?match[]=" + url.QueryEscape(`{pod=~".+"}`):   `"data":["node-1"]`,
		"/api/v1/label/node/values?match[]=" + url.QueryEscape(`kube_pod_info`): `"data":["node-1"]`,
		"/api/v1/label/chaos_mesh_target/values":                                `"data":[]`,
		"/api/v1/label/U__chaos__mesh__target/values":                           `"data":[]`,
		"/api/v1/label/%63haos_mesh_target/values":                              `"data":[]`,
		"/api/v1/labels?match[]=" + url.QueryEscape(`{namespace="lab"}`):        `"data":[]`,
		"/api/v1/labels": `"namespace"`,
		"/api/v1/series?match[]=" + url.QueryEscape(`{node!=""}`): `node-1`,
	} {
		_, body := ask(t, s, client, http.MethodGet, "/prometheus"+path, "")
		require.Contains(t, body, want, path)
		for _, hidden := range []string{"node-4", "node-7", "node-8", "node-9", "chaos_mesh_target"} {
			require.NotContains(t, body, hidden, path)
		}
	}
}

// TestLongAnswers: an answer is taken apart in memory, and so may not be of any length.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := []byte(strings.Repeat("x", 1<<20))
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	s, client := start(t, &upstream{}, func(c *proxy.Config) { c.Jaeger = proxy.Endpoint{BaseURL: endless.URL} })
	code, body := ask(t, s, client, http.MethodGet, "/jaeger/api/services", "")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, proxy.ErrTooMuch.Error())
}
