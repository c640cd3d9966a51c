package service

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/procmetrics"
)

// AdminPort is where /metrics is served.
const AdminPort = "9464"

// buckets are the upper bounds of every duration histogram, in seconds.
func buckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
}

// metrics holds the service's instruments, named after OpenTelemetry's semantic conventions.
type metrics struct {
	registry   *prometheus.Registry
	httpServer *prometheus.HistogramVec
	rpcServer  *prometheus.HistogramVec
	rpcClient  *prometheus.HistogramVec
	dbClient   *prometheus.HistogramVec
	cache      *prometheus.CounterVec
	panics     prometheus.Counter
}

func newMetrics(sys *program.Sys) *metrics {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets()}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		httpServer: histogram("http_server_request_duration_seconds", "Duration of HTTP requests served.",
			"http_request_method", "http_route", "http_response_status_code"),
		rpcServer: histogram("rpc_server_duration_seconds", "Duration of RPCs served.", "rpc_service", "rpc_method", "rpc_grpc_status_code"),
		rpcClient: histogram("rpc_client_duration_seconds", "Duration of RPCs sent.", "rpc_service", "rpc_method", "rpc_grpc_status_code"),
		dbClient: histogram("db_client_operation_duration_seconds", "Duration of operations on stores and caches.",
			"db_system_name", "db_operation_name", "error_type"),
		cache:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cache_requests_total", Help: "Look-ups in the cache by result."}, []string{"result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "panics_total", Help: "Panics that a request caused."}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "build_info", Help: "The build that runs.",
		ConstLabels: prometheus.Labels{"version": sys.Variant}}, func() float64 { return 1 })
	m.registry.MustRegister(m.httpServer, m.rpcServer, m.rpcClient, m.dbClient, m.cache, m.panics, build,
		collectors.NewGoCollector(), procmetrics.New())
	return m
}

// addAdmin serves /metrics and, with PPROF set, the profiles of net/http/pprof.
func (s *Service) addAdmin(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3}))
	if s.Sys.Getenv("PPROF") != "" {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	return s.addHTTP(ctx, "admin", ":"+s.Setting("METRICS_PORT", AdminPort), mux)
}

// database notes one operation on a store or cache.
func (m *metrics) database(system, operation string, took time.Duration, err error) {
	m.dbClient.WithLabelValues(system, operation, errorType(err)).Observe(took.Seconds())
}

// errorType names an error for a label: few values, however many errors there are.
func errorType(err error) string {
	var code interface{ ErrorCode() string }
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &code):
		return code.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "error"
}

// gauge registers a gauge that is read when it is scraped.
func (m *metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}
