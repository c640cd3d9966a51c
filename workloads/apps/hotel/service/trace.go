package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Spans wait at most exportPeriod; when the collector is away, at most queueSize of them are kept.
const (
	exportPeriod  = time.Second
	exportTimeout = 2 * time.Second
	queueSize     = 1024
	batchSize     = 256
)

// traces is the service's source of spans. propagator carries W3C trace context.
type traces struct {
	provider   trace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	sdk        *sdktrace.TracerProvider
	conn       *grpc.ClientConn
}

// newTraces reads OpenTelemetry's usual variables: OTEL_EXPORTER_OTLP_ENDPOINT (none: spans are not exported),
// OTEL_TRACES_SAMPLER_ARG (share of traces, default 1) and OTEL_RESOURCE_ATTRIBUTES.
func newTraces(s *Service) (*traces, error) {
	t := &traces{propagator: propagation.TraceContext{}}
	ratio := 1.0
	if v := s.Sys.Getenv("OTEL_TRACES_SAMPLER_ARG"); v != "" {
		var err error
		if ratio, err = strconv.ParseFloat(v, 64); err != nil || ratio < 0 || ratio > 1 {
			return nil, fmt.Errorf("read OTEL_TRACES_SAMPLER_ARG: %q is not a number from 0 to 1", v)
		}
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithResource(resource.NewSchemaless(resourceAttributes(s)...)),
	}
	if endpoint := s.Sys.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint != "" {
		exporter, err := t.export(s, endpoint)
		if err != nil {
			return nil, err
		}
		batches := sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithBatchTimeout(exportPeriod),
			sdktrace.WithExportTimeout(exportTimeout), sdktrace.WithMaxQueueSize(queueSize), sdktrace.WithMaxExportBatchSize(batchSize))
		options = append(options, sdktrace.WithSpanProcessor(clockProcessor{batches, s.Sys.Clock}))
		// A collector that is away must not fill the log.
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { s.Log.Debug("export spans", "error", err.Error()) }))
	}
	t.sdk = sdktrace.NewTracerProvider(options...)
	t.provider = t.sdk
	t.tracer = t.provider.Tracer("hotel/" + s.Name)
	return t, nil
}

func (t *traces) export(s *Service, endpoint string) (sdktrace.SpanExporter, error) {
	address := endpoint
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		address = u.Host
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("read OTEL_EXPORTER_OTLP_ENDPOINT %q: %w", endpoint, err)
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(s.dialGRPC), grpc.WithConnectParams(connectParams()),
		grpc.WithReadBufferSize(bufferSize), grpc.WithWriteBufferSize(bufferSize))
	if err != nil {
		return nil, fmt.Errorf("connect to the trace collector: %w", err)
	}
	t.conn = conn
	return otlptracegrpc.New(context.Background(), otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}))
}

func (t *traces) close(ctx context.Context) {
	err := t.sdk.Shutdown(ctx)
	if t.conn != nil {
		err = errors.Join(err, t.conn.Close())
	}
	// There is nobody left to tell.
	_ = err
}

func resourceAttributes(s *Service) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("service.name", s.Name),
		attribute.String("service.version", s.Sys.Variant),
		attribute.String("service.instance.id", s.Sys.Hostname),
	}
	for pair := range strings.SplitSeq(s.Sys.Getenv("OTEL_RESOURCE_ATTRIBUTES"), ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			attrs = append(attrs, attribute.String(k, v))
		}
	}
	return attrs
}

// span starts a client span for a call to a store.
func (t *traces) span(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
}

func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.RecordError(err)
	}
	span.End()
}
