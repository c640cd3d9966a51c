package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Readiness is the name under which the gRPC health service answers readiness; the empty name answers liveness.
const Readiness = "readiness"

// A connection is closed after connectionAge, so that clients behind a ClusterIP spread over replicas and notice when a
// name or a Service has come to mean something else. bufferSize keeps the memory of a connection small.
//
// windowSize is HTTP/2's own window, and fixed: to find a larger one, gRPC sends a ping with every message that it receives and waits
// for its answer, which makes three times as many packets of a small call. No message here fills the window.
const (
	connectionAge   = 7 * time.Second
	connectionGrace = 5 * time.Second
	serverKeepalive = 10 * time.Second
	keepaliveWait   = 2 * time.Second
	bufferSize      = 8 << 10
	windowSize      = 64<<10 - 1
	streamLimit     = 256
)

// RPCServer is the service's gRPC server.
type RPCServer struct {
	*grpc.Server
	health *health.Server
}

// AddRPC listens at GRPC_PORT (default port) and serves until the service stops. Readiness answers SERVING when ready is
// nil or, with hysteresis, while ready succeeds.
func (s *Service) AddRPC(ctx context.Context, port string, ready func(ctx context.Context) error) (*RPCServer, error) {
	listener, err := s.Sys.Net.Listen(ctx, "tcp", ":"+s.Setting("GRPC_PORT", port))
	if err != nil {
		return nil, fmt.Errorf("listen for gRPC: %w", err)
	}
	requests := newRequestLog(s)
	server := grpc.NewServer(
		grpc.StatsHandler(otelgrpc.NewServerHandler(s.otelOptions()...)),
		grpc.ChainUnaryInterceptor(s.observeRPC(requests)),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: connectionGrace, Time: serverKeepalive, Timeout: keepaliveWait,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: serverKeepalive / 2, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(streamLimit), grpc.ReadBufferSize(bufferSize), grpc.WriteBufferSize(bufferSize),
		grpc.StaticStreamWindowSize(windowSize), grpc.StaticConnWindowSize(windowSize),
	)
	r := &RPCServer{Server: server, health: health.NewServer()}
	healthpb.RegisterHealthServer(server, r.health)
	r.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	if ready == nil {
		r.health.SetServingStatus(Readiness, healthpb.HealthCheckResponse_SERVING)
	} else {
		r.health.SetServingStatus(Readiness, healthpb.HealthCheckResponse_NOT_SERVING)
		s.watchReadiness(r, ready)
	}
	s.tasks = append(s.tasks, task{
		name: "gRPC",
		run:  func(context.Context) error { return server.Serve(listener) },
		stop: func(ctx context.Context) {
			r.health.SetServingStatus(Readiness, healthpb.HealthCheckResponse_NOT_SERVING)
			stop := context.AfterFunc(ctx, server.Stop)
			defer stop()
			server.GracefulStop()
		},
	})
	return r, nil
}

// Readiness is asked every readyPeriod, until the first success every startPeriod, and lost after readyFailures failures in a row: one slow answer of a store must not
// take a replica out of service.
const (
	readyPeriod   = time.Second
	startPeriod   = 100 * time.Millisecond
	readyTimeout  = 900 * time.Millisecond
	readyFailures = 4
)

func (s *Service) watchReadiness(r *RPCServer, ready func(ctx context.Context) error) {
	failures, serving := 0, false
	period := startPeriod
	s.repeat("readiness", func(ctx context.Context) time.Duration {
		ctx, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		err := ready(ctx)
		switch {
		case err == nil:
			failures, period = 0, readyPeriod
			if !serving {
				serving = true
				r.health.SetServingStatus(Readiness, healthpb.HealthCheckResponse_SERVING)
				s.Log.Info("ready")
			}
		case errors.Is(ctx.Err(), context.Canceled):
		default:
			failures++
			if serving && failures >= readyFailures {
				serving = false
				r.health.SetServingStatus(Readiness, healthpb.HealthCheckResponse_NOT_SERVING)
			}
			if failures == 1 || failures == readyFailures {
				s.Log.Warn("store is not reachable", "error", err.Error(), "failures", failures)
			}
		}
		return period
	})
}

func (s *Service) otelOptions() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(s.traces.provider), otelgrpc.WithPropagators(s.traces.propagator),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithFilter(notHealth),
	}
}

// observeRPC gives every call its metrics and its log line, and turns a panic into an INTERNAL error.
func (s *Service) observeRPC(requests *requestLog) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		service, method := splitMethod(info.FullMethod)
		if service == healthpb.Health_ServiceDesc.ServiceName {
			return handler(ctx, req)
		}
		start := s.Sys.Clock.Now()
		err = s.guard(ctx, func() error {
			var err error
			resp, err = handler(ctx, req)
			return err
		})
		code := codeOf(err)
		took := s.Sys.Clock.Since(start)
		s.metrics.rpcServer.WithLabelValues(service, method, code.String()).Observe(took.Seconds())
		failure := err
		if !serverFault(code) {
			failure = nil
		}
		requests.done(ctx, took, failure, "rpc_service", service, "rpc_method", method, "code", code.String())
		if err != nil {
			return nil, status.Error(code, messageOf(err))
		}
		return resp, nil
	}
}

// guard turns a panic into an error and logs its stack.
func (s *Service) guard(ctx context.Context, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.metrics.panics.Inc()
			s.Log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = status.Errorf(codes.Internal, "panic: %v", r)
		}
	}()
	return f()
}

// codeOf maps an error to the code that a caller sees. A cause that is somebody else's status does not keep its code:
// only the message travels, as UNAVAILABLE when that is what it was.
func codeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	if errors.Is(err, context.Canceled) {
		return codes.Canceled
	}
	if code := status.Code(err); code != codes.Unknown {
		return code
	}
	if st, ok := status.FromError(errors.Unwrap(err)); ok && st.Code() != codes.Unknown {
		return st.Code()
	}
	return codes.Internal
}

func messageOf(err error) string {
	if st, ok := status.FromError(err); ok {
		return st.Message()
	}
	return err.Error()
}

func serverFault(code codes.Code) bool {
	switch code {
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.Unauthenticated, codes.Canceled:
		return false
	}
	return true
}

func splitMethod(full string) (service, method string) {
	service, method, _ = strings.Cut(strings.TrimPrefix(full, "/"), "/")
	return service, method
}
