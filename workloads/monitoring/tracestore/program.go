package tracestore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Image is Jaeger's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/jaegertracing/jaeger", Tags: []string{"2.10.0"}, User: 10001, Program: Run,
		Ports: []string{"16686/tcp", "4317/tcp", "4318/tcp"},
	}
}

// Run serves OTLP and Jaeger's query API until ctx ends. Flags: --memory.max-mib, --query.address, --otlp.grpc.address,
// --otlp.http.address.
func Run(ctx context.Context, sys *program.Sys) error {
	fs := flag.NewFlagSet("jaeger", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	mib := fs.Int("memory.max-mib", 32, "how much memory the traces may take, in MiB")
	query := fs.String("query.address", ":16686", "address of the query API")
	grpcAddress := fs.String("otlp.grpc.address", ":4317", "address of OTLP over gRPC")
	httpAddress := fs.String("otlp.http.address", ":4318", "address of OTLP over HTTP")
	if err := fs.Parse(sys.Args); err != nil {
		return &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: %w", err)}
	}
	if *mib < 1 {
		return &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: --memory.max-mib: want at least 1, got %d", *mib)}
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
	log := slog.New(slog.NewJSONHandler(sys.Stderr, nil))
	store := NewStore(*mib << 20)
	group, ctx := errgroup.WithContext(ctx)
	server := newGRPC(store)
	listener, err := sys.Net.Listen(ctx, "tcp", *grpcAddress)
	if err != nil {
		return fmt.Errorf("listen for OTLP over gRPC: %w", err)
	}
	group.Go(func() error {
		if err := server.Serve(listener); err != nil {
			return fmt.Errorf("serve OTLP over gRPC: %w", err)
		}
		return nil
	})
	var webs []*http.Server
	for _, s := range []struct {
		name, address string
		handler       http.Handler
	}{{"OTLP over HTTP", *httpAddress, otlpHandler(store)}, {"queries", *query, Handler(store, sys.Clock)}} {
		listener, err := sys.Net.Listen(ctx, "tcp", s.address)
		if err != nil {
			// The process ends, and with it what is served already.
			return fmt.Errorf("listen for %s: %w", s.name, err)
		}
		web := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
		webs = append(webs, web)
		group.Go(func() error {
			if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", s.name, err)
			}
			return nil
		})
	}
	log.Info("taking spans", "grpc", *grpcAddress, "http", *httpAddress, "query", *query, "memoryMiB", *mib)
	group.Go(func() error {
		<-ctx.Done()
		// Exporters reconnect; there is nothing to finish.
		server.Stop()
		var failed []error
		for _, web := range webs {
			failed = append(failed, web.Close())
		}
		return errors.Join(failed...)
	})
	return group.Wait()
}
