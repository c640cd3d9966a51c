package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Limits of the HTTP servers.
const (
	headerTimeout = 2 * time.Second
	bodyTimeout   = 5 * time.Second
	idleTimeout   = 30 * time.Second
	headerBytes   = 16 << 10
)

// addHTTP listens at address and serves handler until the service stops.
func (s *Service) addHTTP(ctx context.Context, name, address string, handler http.Handler) error {
	listener, err := s.Sys.Net.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", name, err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
	}
	s.tasks = append(s.tasks, task{
		name: name,
		run: func(context.Context) error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		stop: func(ctx context.Context) {
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		},
	})
	return nil
}

// Route is one route of a public HTTP API.
type Route struct {
	// Pattern is a pattern of http.ServeMux with its method, for example "GET /hotels".
	Pattern string
	// Handle answers. The error is for the log, the trace and the metrics; what the client is told has been written already.
	Handle func(w http.ResponseWriter, r *http.Request) error
	// Timeout bounds the whole request.
	Timeout time.Duration
}

// AddPublicHTTP serves routes at address with traces, metrics and an access log, and GET /healthz and GET /readyz.
func (s *Service) AddPublicHTTP(ctx context.Context, address string, routes ...Route) error {
	mux := http.NewServeMux()
	requests := newRequestLog(s)
	for _, route := range routes {
		mux.Handle(route.Pattern, s.observe(route, requests))
	}
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /healthz", ok)
	// The front stays in the load balancer when what is behind it fails: it is the one who can say so to users.
	mux.HandleFunc("GET /readyz", ok)
	return s.addHTTP(ctx, "http", address, mux)
}

// statusWriter remembers the status code.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// observe wraps a route in its span, its metrics, its log line and its timeout. A panic becomes a 500.
func (s *Service) observe(route Route, requests *requestLog) http.Handler {
	_, path, _ := strings.Cut(route.Pattern, " ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Sys.Clock.Now()
		ctx := s.traces.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.traces.tracer.Start(ctx, route.Pattern, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("http.route", path), attribute.String("url.path", r.URL.Path)))
		defer span.End()
		ctx, cancel := context.WithTimeout(ctx, route.Timeout)
		defer cancel()
		sw := &statusWriter{ResponseWriter: w}
		err := s.guard(ctx, func() error { return route.Handle(sw, r.WithContext(ctx)) })
		if sw.status == 0 {
			http.Error(sw, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
		took := s.Sys.Clock.Since(start)
		span.SetAttributes(attribute.Int("http.response.status_code", sw.status))
		if sw.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, fmt.Sprint(err))
		} else {
			err = nil
		}
		s.metrics.httpServer.WithLabelValues(r.Method, path, strconv.Itoa(sw.status)).Observe(took.Seconds())
		requests.done(ctx, took, err, "method", r.Method, "path", r.URL.Path, "status", sw.status)
	})
}
