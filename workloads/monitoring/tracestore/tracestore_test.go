package tracestore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	otelattr "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gameday-bench/gameday/workloads/program"
)

// addresses returns free ports on 127.0.0.1.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		out[i] = l.Addr().String()
	}
	return out
}

// start runs the program and returns its addresses: query, OTLP over gRPC, OTLP over HTTP.
func start(t *testing.T) []string {
	t.Helper()
	a := addresses(t, 3)
	im := Image()
	sys, err := program.System(&im, []string{"--query.address", a[0], "--otlp.grpc.address", a[1], "--otlp.http.address", a[2]})
	require.NoError(t, err)
	sys.Stderr = io.Discard
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- Run(ctx, sys) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool { return get(t, a[0], "/", nil, nil) == http.StatusOK }, 5*time.Second, 10*time.Millisecond)
	return a
}

// get asks for path, decodes the data of the answer into data, and returns the status.
func get(t *testing.T, address, path string, query url.Values, data any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path+"?"+query.Encode(), nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if data != nil {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&struct {
			Data any `json:"data"`
		}{data}))
	}
	return resp.StatusCode
}

// service is one exporting service, as the applications' are.
func service(t *testing.T, address, name string) (oteltrace.Tracer, *sdktrace.TracerProvider) {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	require.NoError(t, err)
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(
		otelattr.String("service.name", name), otelattr.String("k8s.pod.name", name+"-1"))))
	return p.Tracer("test"), p
}

// TestRealExporters sends a request's spans through OpenTelemetry's own exporters and reads them back through Jaeger's API.
func TestRealExporters(t *testing.T) {
	t.Parallel()
	a := start(t)
	front, frontProvider := service(t, a[1], "frontend")
	geo, geoProvider := service(t, a[1], "geo")
	for i := range 5 {
		ctx, root := front.Start(t.Context(), "GET /hotels", oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(
			otelattr.Int("http.response.status_code", 500), otelattr.Bool("flag", true), otelattr.Float64("load", 0.5),
			otelattr.StringSlice("list", []string{"a", "b"}), otelattr.Int("n", i)))
		ctx, call := front.Start(ctx, "geo.Geo/Nearby", oteltrace.WithSpanKind(oteltrace.SpanKindClient))
		ctx, served := geo.Start(ctx, "geo.Geo/Nearby", oteltrace.WithSpanKind(oteltrace.SpanKindServer))
		_, query := geo.Start(ctx, "SELECT", oteltrace.WithSpanKind(oteltrace.SpanKindClient), oteltrace.WithAttributes(otelattr.String("peer.service", "mysql-geo")))
		query.RecordError(fmt.Errorf("access denied"))
		query.SetStatus(codes.Error, "access denied")
		query.End()
		served.End()
		call.End()
		root.End()
	}
	require.NoError(t, frontProvider.ForceFlush(t.Context()))
	require.NoError(t, geoProvider.ForceFlush(t.Context()))

	var services []string
	get(t, a[0], "/api/services", nil, &services)
	require.Equal(t, []string{"frontend", "geo"}, services)
	var operations []Operation
	get(t, a[0], "/api/operations", url.Values{"service": {"geo"}, "spanKind": {"server"}}, &operations)
	require.Equal(t, []Operation{{"geo.Geo/Nearby", "server"}}, operations)

	var traces []jsonTrace
	get(t, a[0], "/api/traces", url.Values{"service": {"geo"}, "tags": {`{"error":"true"}`}, "limit": {"3"}}, &traces)
	require.Len(t, traces, 3)
	one := traces[0]
	require.Len(t, one.Spans, 4)
	byName := map[string]jsonSpan{}
	for _, s := range one.Spans {
		byName[one.Processes[s.ProcessID].Service+" "+s.Operation] = s
	}
	root := byName["frontend GET /hotels"]
	require.Empty(t, root.References)
	require.Contains(t, root.Tags, jsonTag{"http.response.status_code", "int64", 500.0})
	require.Contains(t, root.Tags, jsonTag{"flag", "bool", true})
	require.Contains(t, root.Tags, jsonTag{"load", "float64", 0.5})
	require.Contains(t, root.Tags, jsonTag{"list", "string", `["a","b"]`})
	require.Contains(t, root.Tags, jsonTag{"span.kind", "string", "server"})
	call := byName["geo SELECT"]
	require.Equal(t, byName["geo geo.Geo/Nearby"].SpanID, call.References[0].SpanID)
	require.Contains(t, call.Tags, jsonTag{"error", "bool", true})
	require.Contains(t, call.Tags, jsonTag{"otel.status_description", "string", "access denied"})
	require.Equal(t, "exception", call.Logs[0].Fields[0].Value)
	require.Contains(t, one.Processes[call.ProcessID].Tags, jsonTag{"k8s.pod.name", "string", "geo-1"})

	traces = nil
	require.Equal(t, http.StatusOK, get(t, a[0], "/api/traces/"+one.TraceID, nil, &traces))
	require.Equal(t, one.TraceID, traces[0].TraceID)
	for query, want := range map[string]int{
		"service=frontend": 5, "service=frontend&operation=SELECT": 0, "service=frontend&tag=n:3": 1, "service=geo&tag=k8s.pod.name:geo-1": 5,
		"service=geo&minDuration=1h": 0, "service=frontend&lookback=1ns": 0, "service=nobody": 0,
	} {
		v, err := url.ParseQuery(query)
		require.NoError(t, err)
		traces = nil
		get(t, a[0], "/api/traces", v, &traces)
		require.Len(t, traces, want, query)
	}

	var edges []Dependency
	get(t, a[0], "/api/dependencies", url.Values{"lookback": {"60000"}}, &edges)
	require.Len(t, edges, 2)
	require.Equal(t, []any{"frontend", "geo", uint64(5), uint64(0)}, []any{edges[0].Parent, edges[0].Child, edges[0].CallCount, edges[0].ErrorCount})
	require.Equal(t, []any{"geo", "mysql-geo", uint64(5), uint64(5)}, []any{edges[1].Parent, edges[1].Child, edges[1].CallCount, edges[1].ErrorCount})
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	a := start(t)
	for path, want := range map[string]int{
		"/api/traces": 400, "/api/traces?service=x&limit=many": 400, "/api/traces?service=x&tags={": 400, "/api/traces?service=x&minDuration=1": 400,
		"/api/traces?service=x&start=now": 400, "/api/traces/zz": 400, "/api/traces/abc123": 404, "/api/operations": 400,
		"/api/dependencies?endTs=x": 400, "/nope": 404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a[0]+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, path)
	}
	for kind, want := range map[string]int{"application/json": http.StatusUnsupportedMediaType, "application/x-protobuf": http.StatusBadRequest} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a[2]+"/v1/traces", bytes.NewReader([]byte("{not protobuf")))
		require.NoError(t, err)
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, kind)
	}
}

// request builds one export of a trace with n spans.
func request(t testing.TB, id byte, seq uint32, n int) []byte {
	t.Helper()
	str := func(k, v string) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: k, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}}
	}
	var spans []*tracepb.Span
	for i := range n {
		spans = append(spans, &tracepb.Span{
			TraceId: []byte{id, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq), 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
			SpanId:  []byte{id, byte(i), 3, 4, 5, 6, 7, 8}, Name: "operation", Kind: tracepb.Span_SPAN_KIND_SERVER,
			StartTimeUnixNano: 1_700_000_000_000_000_000 + uint64(seq)*1000, EndTimeUnixNano: 1_700_000_000_002_000_000 + uint64(seq)*1000,
			Attributes: []*commonpb.KeyValue{
				str("http.route", "/hotels"), str("http.request.method", "GET"), str("rpc.service", "hotel.Geo"), str("rpc.method", "Nearby"),
				str("server.address", "geo"), str("url.query", fmt.Sprintf("lat=%d&lon=%d", seq, i)), str("client.address", fmt.Sprint("10.0.0.1:", 1000+seq)),
			},
		})
	}
	data, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{str("service.name", "geo"), str("k8s.pod.name", "geo-1")}},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "test"}, Spans: spans}},
	}}})
	require.NoError(t, err)
	return data
}

func TestTheOldestGoFirst(t *testing.T) {
	t.Parallel()
	const limit = 200 << 10
	store := NewStore(limit)
	const n = 2000
	for i := range uint32(n) {
		require.NoError(t, store.Export(request(t, 1, i, 12)))
		require.LessOrEqual(t, store.Stats().Bytes, limit)
	}
	s := store.Stats()
	require.Equal(t, uint64(12*n), s.Received)
	require.Equal(t, uint64(12*(n-s.Traces)), s.Evicted)
	require.Greater(t, s.Traces, 50, "a trace of 12 spans should take less than 4 KiB: %+v", s)
	latest := store.find(Query{Service: "geo", Limit: 10})
	require.Len(t, latest, 10)
	require.Equal(t, uint64(1_700_000_000_000_000_000+(n-1)*1000), latest[0].spans[0].start)
	require.Len(t, latest[0].spans, 12)
	_, ok := store.get(traceID{1, 0, 0, 0, 0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	require.False(t, ok, "the first trace should be gone")
}

func TestATraceIsBounded(t *testing.T) {
	t.Parallel()
	store := NewStore(64 << 20)
	for range 200 {
		require.NoError(t, store.Export(request(t, 1, 1, 100)))
	}
	require.Less(t, store.Stats().Bytes, 2*maxTraceBytes)
}

// FuzzExport: nothing that arrives may end the program.
func FuzzExport(f *testing.F) {
	f.Add(request(f, 1, 1, 3))
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		store := NewStore(1 << 20)
		_ = store.Export(data)
		for _, s := range store.Services() {
			for _, found := range store.find(Query{Service: s, Limit: 5}) {
				_, err := json.Marshal(toJSON(found))
				require.NoError(t, err)
			}
			store.Dependencies(time.Unix(0, 0), time.Now())
		}
	})
}

func BenchmarkExport(b *testing.B) {
	data := request(b, 1, 1, 12)
	store := NewStore(8 << 20)
	b.ReportAllocs()
	for i := range b.N {
		copy(data[len(data)-4:], fmt.Sprint(i))
		if err := store.Export(data); err != nil {
			b.Fatal(err)
		}
	}
}
