package telemetry_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/telemetry"
	"github.com/gameday-bench/gameday/workloads"
)

// answering returns a client whose Prometheus and trace store give the answers by path.
func answering(t *testing.T, answers map[string]string) *telemetry.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	e := telemetry.Endpoint{URL: server.URL}
	return telemetry.NewClient(e, e)
}

// evaluating returns a client of a Prometheus that evaluates queries over series, at the time at.
func evaluating(t *testing.T, series string, at time.Duration) *telemetry.Client {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 2s\n  "+strings.ReplaceAll(strings.TrimSpace(series), "\n", "\n  "))
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	engine := promqltest.NewTestEngine(t, false, 30*time.Second, promqltest.DefaultMaxSamplesPerQuery)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/alerts" {
			_, _ = w.Write([]byte(`{"status":"success","data":{"alerts":[]}}`))
			return
		}
		q, err := engine.NewInstantQuery(r.Context(), storage, promql.NewPrometheusQueryOpts(false, 0), r.FormValue("query"), time.Unix(0, 0).Add(at))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "error": err.Error()})
			return
		}
		defer q.Close()
		result := q.Exec(r.Context())
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": result.Value.Type(), "result": result.Value}})
	}))
	t.Cleanup(server.Close)
	e := telemetry.Endpoint{URL: server.URL}
	return telemetry.NewClient(e, e)
}

const load = `
loadgen_requests_total{route="search",code="200",outcome="ok"} 0+60x20
loadgen_requests_total{route="search",code="409",outcome="ok"} 0+20x20
loadgen_requests_total{route="user",code="200",outcome="ok"} 0+10x20
loadgen_requests_total{route="user",code="0",outcome="timeout"} 0x10 0+10x10
loadgen_request_duration_seconds_bucket{route="search",le="0.1"} 0+60x20
loadgen_request_duration_seconds_bucket{route="search",le="0.4"} 0+78x20
loadgen_request_duration_seconds_bucket{route="search",le="+Inf"} 0+80x20
loadgen_request_duration_seconds_count{route="search"} 0+80x20
`

func TestObjective(t *testing.T) {
	t.Parallel()
	availability := func(target float64, routes ...string) workloads.SLO {
		return workloads.SLO{Name: "a", Type: workloads.Availability, Routes: routes, Target: target}
	}
	latency := func(q float64, threshold time.Duration, routes ...string) workloads.SLO {
		return workloads.SLO{Name: "l", Type: workloads.Latency, Routes: routes, Quantile: q, Threshold: threshold}
	}
	tests := []struct {
		name    string
		slo     workloads.SLO
		at      time.Duration
		met     bool
		value   float64
		samples float64
	}{
		{"all good", availability(0.99, "search"), 30 * time.Second, true, 1, 320},
		{"half fails", availability(0.99, "user"), 36 * time.Second, false, 0.5, 80},
		{"before it failed", availability(0.99, "user"), 18 * time.Second, true, 1, 40},
		{"all routes", availability(0.9), 36 * time.Second, true, 0.9, 400},
		{"no load", availability(0.99, "nothing"), 30 * time.Second, false, 0, 0},
		{"long ago", availability(0.99, "search"), 100 * time.Second, false, 0, 0},
		{"fast", latency(0.5, 100*time.Millisecond, "search"), 30 * time.Second, true, 0.0667, 320},
		{"slow", latency(0.95, 300*time.Millisecond, "search"), 30 * time.Second, false, 0.367, 320},
		{"no latencies", latency(0.95, time.Second, "user"), 30 * time.Second, false, 0, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := evaluating(t, load, tc.at).Objective(t.Context(), tc.slo, 8*time.Second)
			require.NoError(t, err)
			require.Equal(t, tc.met, got.Met, "%+v", got)
			require.InDelta(t, tc.value, got.Value, 0.01)
			require.InDelta(t, tc.samples, got.Samples, 0.1*tc.samples+1e-9)
			require.InDelta(t, 8, got.Window, 1e-9)
			_, err = json.Marshal(got)
			require.NoError(t, err, "evidence is stored as JSON")
		})
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	slos := []workloads.SLO{{Name: "user", Type: workloads.Availability, Routes: []string{"user"}, Target: 0.99}}
	for at, want := range map[time.Duration]string{18 * time.Second: "", 36 * time.Second: "not met", time.Second: "requests"} {
		reason, err := evaluating(t, load, at).Healthy(t.Context(), slos, 8*time.Second, 10)
		require.NoError(t, err)
		if want == "" {
			require.Empty(t, reason)
		}
		require.Contains(t, reason, want)
	}
	firing := answering(t, map[string]string{"/api/v1/alerts": `{"data":{"alerts":[{"labels":{"alertname":"TargetDown","job":"geo"},"state":"firing"}]}}`})
	reason, err := firing.Healthy(t.Context(), nil, time.Second, 1)
	require.NoError(t, err)
	require.Equal(t, "alert TargetDown is firing map[job:geo]", reason)
}

func TestHealthySaysWhyTargetsAreDown(t *testing.T) {
	t.Parallel()
	c := answering(t, map[string]string{
		"/api/v1/alerts": `{"data":{"alerts":[{"labels":{"alertname":"TargetDown","job":"geo"},"state":"firing"}]}}`,
		"/api/v1/targets": `{"data":{"activeTargets":[{"labels":{"job":"rate"},"lastError":"out of memory"},{"labels":{"job":"geo"},"lastError":""},
			{"labels":{"job":"geo"},"lastError":"connection refused"}]}}`,
	})
	reason, err := c.Healthy(t.Context(), nil, time.Second, 1)
	require.NoError(t, err)
	require.Equal(t, "alert TargetDown is firing map[job:geo]: connection refused", reason)
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	c := answering(t, map[string]string{"/api/v1/alerts": `{"status":"success","data":{"alerts":[
		{"labels":{"alertname":"B","service":"x"},"state":"firing","activeAt":"2026-01-01T00:00:00Z"},
		{"labels":{"alertname":"P"},"state":"pending","activeAt":"2026-01-01T00:00:00Z"},
		{"labels":{"alertname":"A","service":"y"},"state":"firing","activeAt":"2026-01-01T00:00:01Z"}]}}`})
	got, err := c.Alerts(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "A", got[0].Name)
	require.Equal(t, map[string]string{"service": "y"}, got[0].Labels)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), got[1].Since)
}

func TestQueries(t *testing.T) {
	t.Parallel()
	c := answering(t, map[string]string{
		"/api/v1/query":                 `{"data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1.5,"42"]}]}}`,
		"/api/v1/query_range":           `{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"+Inf"]]}]}}`,
		"/api/v1/label/__name__/values": `{"data":["up","http_b","http_a"]}`,
	})
	series, err := c.Query(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, []telemetry.Series{{Labels: map[string]string{"job": "a"}, Points: []telemetry.Point{{Time: time.UnixMilli(1500).UTC(), Value: 42}}}}, series)
	series, err = c.QueryRange(t.Context(), "x", time.Unix(1, 0), time.Unix(2, 0), time.Second)
	require.NoError(t, err)
	require.Len(t, series[0].Points, 2)
	held, err := c.Holds(t.Context(), "x")
	require.NoError(t, err)
	require.True(t, held)
	names, err := c.ListMetrics(t.Context(), "^http_")
	require.NoError(t, err)
	require.Equal(t, []string{"http_a", "http_b"}, names)
	_, err = c.ListMetrics(t.Context(), "(")
	require.Error(t, err)
}

func TestScalarAndEmpty(t *testing.T) {
	t.Parallel()
	c := evaluating(t, load, 30*time.Second)
	series, err := c.Query(t.Context(), "scalar(vector(3))")
	require.NoError(t, err)
	require.InDelta(t, 3, series[0].Value(), 0)
	held, err := c.Holds(t.Context(), "nothing > 0")
	require.NoError(t, err)
	require.False(t, held)
	_, err = c.Query(t.Context(), "sum(")
	require.ErrorContains(t, err, "parse error")
}

func TestErrorsNameTheirParty(t *testing.T) {
	t.Parallel()
	broken := answering(t, map[string]string{"/api/v1/alerts": "no endpoints available for service"})
	_, err := broken.Alerts(t.Context())
	require.ErrorContains(t, err, "no endpoints available")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	gone := telemetry.New(&rest.Config{Host: "http://127.0.0.1:1"})
	_, err = gone.Alerts(t.Context())
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	_, err = telemetry.New(&rest.Config{Host: "::bad::"}).Query(t.Context(), "up")
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = gone.Alerts(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	var path, token string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, token = r.URL.Path, r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"data":{"alerts":[]}}`))
	}))
	defer server.Close()
	c := telemetry.New(&rest.Config{Host: server.URL, BearerToken: "secret"})
	_, err := c.Alerts(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/alerts", path)
	require.Equal(t, "Bearer secret", token)
	_, jaeger, err := telemetry.Endpoints(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	require.Equal(t, server.URL+"/api/v1/namespaces/monitoring/services/http:jaeger:16686/proxy", jaeger.URL)
}

const traces = `{"data":[{"traceID":"t1","processes":{"p1":{"serviceName":"geo","tags":[{"key":"k8s.pod.name","value":"geo-1"}]},"p2":{"serviceName":"search"}},
"spans":[
 {"spanID":"b","operationName":"Nearby","references":[{"refType":"CHILD_OF","spanID":"a"}],"startTime":2000,"duration":500,"processID":"p1","tags":[{"key":"error","type":"bool","value":true},{"key":"n","value":7}]},
 {"spanID":"a","operationName":"Search","startTime":1000,"duration":5000,"processID":"p2"}]}]}`

func TestTraces(t *testing.T) {
	t.Parallel()
	c := answering(t, map[string]string{
		"/api/traces": traces, "/api/traces/t1": traces, "/api/services": `{"data":["search","geo"]}`,
		"/api/dependencies": `{"data":[{"parent":"search","child":"geo","callCount":9,"errorCount":2,"durationP50":100,"durationP95":900}]}`,
	})
	found, err := c.Traces(t.Context(), telemetry.Search{Service: "geo", Tags: map[string]string{"error": "true"}, MinDuration: time.Millisecond})
	require.NoError(t, err)
	require.Len(t, found, 1)
	one, err := c.Trace(t.Context(), "t1")
	require.NoError(t, err)
	require.Equal(t, found[0], one)
	require.Equal(t, "a", one.Spans[0].ID)
	span := one.Spans[1]
	require.Equal(t, "a", span.Parent)
	require.Equal(t, "geo", span.Service)
	require.True(t, span.Failed)
	require.False(t, one.Spans[0].Failed)
	require.Equal(t, 500*time.Microsecond, span.Duration)
	require.Equal(t, "7", span.Tags["n"])
	require.Equal(t, "geo-1", span.Process["k8s.pod.name"])
	services, err := c.Services(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"geo", "search"}, services)
	edges, err := c.ServiceGraph(t.Context(), time.Unix(10, 0), time.Minute)
	require.NoError(t, err)
	require.Equal(t, []telemetry.Edge{{Parent: "search", Child: "geo", Calls: 9, Errors: 2, P50: 100 * time.Microsecond, P95: 900 * time.Microsecond}}, edges)
	_, err = c.Trace(t.Context(), "t2")
	require.Error(t, err)
}
