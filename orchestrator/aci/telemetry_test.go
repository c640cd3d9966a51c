package aci_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// trace is one trace of three services: frontend waits 100 ms for geo, which works 20 ms and calls its store for 5 ms.
const trace = `{"data":[{"traceID":"t1","processes":{"p1":{"serviceName":"frontend"},"p2":{"serviceName":"geo","tags":[{"key":"k8s.node.name","value":"node-2"}]}},
"spans":[
 {"spanID":"a","operationName":"GET /hotels","startTime":1000000,"duration":110000,"processID":"p1","references":[]},
 {"spanID":"b","operationName":"geo.Geo/Nearby","startTime":1001000,"duration":100000,"processID":"p1","references":[{"refType":"CHILD_OF","spanID":"a"}],"tags":[{"key":"span.kind","value":"client"}]},
 {"spanID":"c","operationName":"geo.Geo/Nearby","startTime":1041000,"duration":20000,"processID":"p2","references":[{"refType":"CHILD_OF","spanID":"b"}],"tags":[{"key":"span.kind","value":"server"},{"key":"error","value":true},{"key":"otel.status_description","value":"no points"}]},
 {"spanID":"d","operationName":"SELECT","startTime":1042000,"duration":5000,"processID":"p2","references":[{"refType":"CHILD_OF","spanID":"c"}],"tags":[{"key":"peer.service","value":"mysql-geo"}]}]}]}`

func observed(t *testing.T) *aci.Session {
	t.Helper()
	answers := map[string]string{
		"/api/v1/query":                 `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`,
		"/api/v1/query_range":           `{"status":"error","errorType":"bad_data","error":"parse error: x"}`,
		"/api/v1/label/__name__/values": `{"status":"success","data":["up","chaos_mesh_x","rpc_bucket"]}`,
		"/api/v1/metadata":              `{"status":"success","data":{"up":[{"type":"gauge","help":"Is it up."}],"rpc":[{"type":"histogram","help":"Calls."}]}}`,
		"/api/v1/alerts":                `{"status":"success","data":{"alerts":[{"labels":{"alertname":"B","service":"geo"},"state":"firing","activeAt":"2026-11-23T12:00:00Z","value":"1"},{"labels":{"alertname":"A"},"state":"pending"},{"labels":{"alertname":"C","namespace":"chaos-mesh"},"state":"firing"}]}}`,
		"/api/services":                 `{"data":["frontend","geo"]}`,
		"/api/traces":                   trace,
		"/api/traces/t1":                trace,
		"/api/traces/none":              `{"data":[],"errors":[{"msg":"trace not found"}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	endpoint := proxy.Endpoint{BaseURL: server.URL}
	return open(t, setup{brief: agentstest.Brief(), config: aci.Config{Prometheus: endpoint, Jaeger: endpoint}})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := observed(t)
	require.JSONEq(t, `{"resultType":"scalar","result":[1,"2"]}`, do(t, s, "query_metrics", m{"query": "2", "time": "5m"}).Output)
	bad := do(t, s, "query_metrics_range", m{"query": "x", "start": "1h", "end": "2026-11-23T12:00:00Z"})
	require.True(t, bad.IsError)
	require.Equal(t, "query_failed: parse error: x", bad.Output)
	require.Equal(t, "rpc_bucket (histogram) Calls.\nup (gauge) Is it up.\n", do(t, s, "list_metrics", m{}).Output)
	var alerts []struct{ Name, State string }
	require.NoError(t, json.Unmarshal([]byte(do(t, s, "get_alerts", m{}).Output), &alerts))
	require.Equal(t, []struct{ Name, State string }{{"B", "firing"}}, alerts)
	require.Contains(t, do(t, s, "get_alerts", m{"pending": true}).Output, `"pending"`)
}

func TestTraces(t *testing.T) {
	t.Parallel()
	s := observed(t)
	found := do(t, s, "search_traces", m{"service": "geo", "errors_only": true})
	require.Equal(t, 1, strings.Count(found.Output, "\n"))
	var summary struct {
		TraceID, Root, Slowest string
		DurationMS             float64 `json:"durationMs"`
		Services, Errors       []string
	}
	require.NoError(t, json.Unmarshal([]byte(found.Output), &summary))
	require.Equal(t, "frontend GET /hotels", summary.Root)
	require.InDelta(t, 110, summary.DurationMS, 0.01)
	require.Equal(t, "frontend geo.Geo/Nearby", summary.Slowest)
	require.Equal(t, []string{"geo geo.Geo/Nearby: no points"}, summary.Errors)

	tree := do(t, s, "get_trace", m{"trace_id": "t1"}).Output
	require.Contains(t, tree, "    geo geo.Geo/Nearby +41.0ms 20.0ms span.kind=server k8s.node.name=node-2 ERROR no points\n")
	require.True(t, do(t, s, "get_trace", m{"trace_id": "none"}).IsError)

	require.JSONEq(t, `[
	 {"caller":"frontend","callee":"geo","calls":1,"errors":1,"p50Ms":100,"p99Ms":100,"calleeP50Ms":20},
	 {"caller":"geo","callee":"mysql-geo","calls":1,"errors":0,"p50Ms":5,"p99Ms":5}]`, do(t, s, "get_service_graph", m{}).Output)
}
