package service

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// A peer that cannot be reached is noticed after dialTimeout and tried again at most backoffMax later, so that a repaired
// peer is in use within seconds.
const (
	dialTimeout     = time.Second
	backoffBase     = 100 * time.Millisecond
	backoffMax      = 2 * time.Second
	clientKeepalive = 10 * time.Second
)

// Peer says how another service is called.
type Peer struct {
	// Setting is the environment variable with the peer's host:port, and Default its value when it is not set.
	Setting, Default string
	// Service is the full name of the gRPC service.
	Service string
	// Timeout bounds each call with all its attempts.
	Timeout time.Duration
	// Idempotent are the methods that are tried a second time when the peer was not available.
	Idempotent []string
}

// Dial makes the client connection of a peer. It connects when it is first used. The name is looked up again for every
// connection, and servers end connections after some seconds: that is what spreads load over the replicas behind a ClusterIP.
func (s *Service) Dial(p Peer) (*grpc.ClientConn, error) {
	address := s.Setting(p.Setting, p.Default)
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("read %s: %w", p.Setting, err)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(s.dialGRPC), grpc.WithConnectParams(connectParams()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: clientKeepalive, Timeout: keepaliveWait}),
		grpc.WithDefaultServiceConfig(serviceConfig(p)), grpc.WithDisableServiceConfig(),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(s.otelOptions()...)),
		grpc.WithUnaryInterceptor(s.observeCall),
		grpc.WithReadBufferSize(bufferSize), grpc.WithWriteBufferSize(bufferSize),
		grpc.WithStaticStreamWindowSize(windowSize), grpc.WithStaticConnWindowSize(windowSize))
	if err != nil {
		return nil, fmt.Errorf("make client of %s: %w", p.Service, err)
	}
	s.onClose(func() { conn.Close() })
	return conn, nil
}

func connectParams() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: backoffBase, Multiplier: 1.6, Jitter: 0.2, MaxDelay: backoffMax},
		MinConnectTimeout: dialTimeout,
	}
}

// serviceConfig is gRPC's own retry configuration. The throttle stops retries when most calls fail.
func serviceConfig(p Peer) string {
	var b strings.Builder
	timeout := fmt.Sprintf("%.3fs", p.Timeout.Seconds())
	fmt.Fprintf(&b, `{"retryThrottling":{"maxTokens":20,"tokenRatio":0.2},"methodConfig":[`)
	for _, method := range p.Idempotent {
		fmt.Fprintf(&b, `{"name":[{"service":%q,"method":%q}],"timeout":%q,"retryPolicy":{"maxAttempts":2,"initialBackoff":"0.02s",`+
			`"maxBackoff":"0.1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}},`, p.Service, method, timeout)
	}
	fmt.Fprintf(&b, `{"name":[{"service":%q}],"timeout":%q}]}`, p.Service, timeout)
	return b.String()
}

func (s *Service) dialGRPC(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return s.Sys.Net.DialContext(ctx, "tcp", address)
}

func (s *Service) observeCall(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	start := s.Sys.Clock.Now()
	err := invoke(ctx, method, req, reply, cc, opts...)
	service, name := splitMethod(method)
	s.metrics.rpcClient.WithLabelValues(service, name, status.Code(err).String()).Observe(s.Sys.Clock.Since(start).Seconds())
	return err
}

// notHealth keeps probes out of the traces.
func notHealth(info *stats.RPCTagInfo) bool {
	service, _ := splitMethod(info.FullMethodName)
	return service != healthpb.Health_ServiceDesc.ServiceName
}

// Upstream says which peer an error came from; the code stays.
func Upstream(peer string, err error) error {
	return status.Errorf(status.Code(err), "%s: %s", peer, status.Convert(err).Message())
}
