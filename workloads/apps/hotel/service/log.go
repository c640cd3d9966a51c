package service

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
)

// newLogger writes JSON lines to stdout. LOG_LEVEL is debug, info, warn or error.
func newLogger(sys *program.Sys, name string) *slog.Logger {
	level := slog.LevelInfo
	// An unknown level is not worth refusing to start for.
	_ = level.UnmarshalText([]byte(sys.Getenv("LOG_LEVEL")))
	handler := slog.NewJSONHandler(sys.Stdout, &slog.HandlerOptions{Level: level})
	return slog.New(traceHandler{handler, sys.Clock}).With("service", name)
}

// traceHandler adds the ids of the span in the context, and takes the time from the container's clock.
type traceHandler struct {
	slog.Handler

	clock clock.PassiveClock
}

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	r.Time = h.clock.Now()
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs), h.clock}
}

func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name), h.clock}
}

// budget bounds how many lines are written per second; it counts what it held back.
type budget struct {
	clock clock.PassiveClock
	limit int

	mu     sync.Mutex
	second time.Time
	used   int
	held   int
}

// take says whether a line may be written, and how many were held back since the last one.
func (b *budget) take() (bool, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.clock.Now().Truncate(time.Second); !now.Equal(b.second) {
		b.second, b.used = now, 0
	}
	if b.used >= b.limit {
		b.held++
		return false, 0
	}
	held := b.held
	b.used, b.held = b.used+1, 0
	return true, held
}

// The most lines per second about requests, and how slow a request is that is always worth a line.
const (
	failureLines = 20
	accessLines  = 2
	slowRequest  = time.Second
)

// requestLog writes one line per failed or slow request and a sample of the others.
type requestLog struct {
	log              *slog.Logger
	failures, access budget
}

func newRequestLog(s *Service) *requestLog {
	return &requestLog{
		log:      s.Log,
		failures: budget{clock: s.Sys.Clock, limit: failureLines},
		access:   budget{clock: s.Sys.Clock, limit: accessLines},
	}
}

func (l *requestLog) done(ctx context.Context, took time.Duration, err error, attrs ...any) {
	b := &l.access
	if err != nil || took > slowRequest {
		b = &l.failures
	}
	ok, held := b.take()
	if !ok {
		return
	}
	attrs = append(attrs, "duration_ms", took.Milliseconds())
	if held > 0 && b == &l.failures {
		attrs = append(attrs, "suppressed", held)
	}
	switch {
	case err != nil:
		l.log.ErrorContext(ctx, "request failed", append(attrs, "error", err.Error())...)
	case took > slowRequest:
		l.log.WarnContext(ctx, "slow request", attrs...)
	default:
		l.log.InfoContext(ctx, "request", attrs...)
	}
}
