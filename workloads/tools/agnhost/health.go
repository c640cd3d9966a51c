package agnhost

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// health is a gRPC health service that turns bad after a while, or when it is told to.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	*app
	service string
	started time.Time
	// limit is the age at which it turns bad; negative means never.
	limit  time.Duration
	forced atomic.Pointer[bool]
}

// Check answers for the one configured service.
func (h *health) Check(_ context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if req.Service != h.service {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	bad := h.limit >= 0 && h.sys.Clock.Since(h.started) >= h.limit
	if forced := h.forced.Load(); forced != nil && *forced {
		bad = true
	}
	if bad {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func grpcHealth(ctx context.Context, a *app, args []string) error {
	f := newFlags("grpc-health-checking")
	port := f.Int("port", 5000, "port")
	httpPort := f.Int("http-port", 8080, "port of /make-serving and /make-not-serving")
	limit := f.Int("delay-unhealthy-sec", -1, "seconds until it turns bad, negative for never")
	service := f.String("service", "", "service")
	certFile := f.String("tls-cert-file", "", "certificate")
	keyFile := f.String("tls-private-key-file", "", "private key")
	if err := a.parse(f, args); err != nil {
		return err
	}
	config, err := a.keyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	h := &health{app: a, service: *service, started: a.sys.Clock.Now(), limit: time.Duration(*limit) * time.Second}
	mux := http.NewServeMux()
	for path, bad := range map[string]bool{"/make-not-serving": true, "/make-serving": false} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			h.forced.Store(&bad)
			fmt.Fprint(w, a.sys.Clock.Since(h.started))
		})
	}
	l, err := a.sys.Net.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(*port)))
	if err != nil {
		return fmt.Errorf("listen at port %d: %w", *port, err)
	}
	var options []grpc.ServerOption
	if config != nil {
		config.NextProtos = []string{"h2"}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(server, h)
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	group.Go(func() error { return server.Serve(l) })
	group.Go(func() error { return a.serve(ctx, *httpPort, mux, nil) })
	return group.Wait()
}
