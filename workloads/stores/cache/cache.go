// Package cache is an in-memory cache that speaks the Redis protocol: authentication, expiry, eviction, MULTI, scripts. The
// engine is miniredis with its clock driven; this package adds configuration, memory limits, INFO and metrics.
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
)

// The ports that are listened on, unless --port says otherwise.
const (
	Port        = "6379"
	MetricsPort = "9121"
)

// Version is the version of Redis that is announced.
const Version = "7.4.1"

// housekeeping is how often memory is measured and evicted, tick how often the clock of the engine is moved: the engine can
// follow the clock by itself, but then looks at every key for every command.
const (
	housekeeping = time.Second
	tick         = 100 * time.Millisecond
)

// gcPercent and memoryLimit keep the process small.
const (
	gcPercent   = 150
	memoryLimit = 96 << 20
)

// Images returns the cache's image. Its commands are redis-cli and redis-server.
func Images() []program.Image {
	return []program.Image{{
		Repository: "registry.local/library/redis", Tags: []string{Version}, Entrypoint: []string{"redis-server"}, Program: Run,
		Ports:    []string{Port + "/tcp", MetricsPort + "/tcp"},
		Commands: map[string]program.Func{"redis-cli": Client},
	}}
}

// Run is the server. Its arguments are pairs of --name value as in redis.conf: port, requirepass, maxmemory, maxmemory-policy.
func Run(ctx context.Context, sys *program.Sys) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	settings, err := parseArgs(sys.Args)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(sys.Stdout, nil))
	engine := miniredis.NewMiniRedis()
	defer engine.Close()
	s := &server{engine: engine, settings: settings, clock: sys.Clock, started: sys.Clock.Now(), used: map[string]time.Time{}}
	if err := s.start(); err != nil {
		return err
	}
	port, _ := settings.get("port")
	listener, err := sys.Net.Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := sys.Net.Listen(ctx, "tcp", ":"+cmp.Or(sys.Getenv("METRICS_PORT"), MetricsPort))
	if err != nil {
		listener.Close()
		return fmt.Errorf("listen for metrics: %w", err)
	}
	log.Info("Ready to accept connections tcp", "port", port, "version", Version)
	err = s.serve(ctx, listener, admin)
	log.Info("Redis is now ready to exit, bye bye...")
	return err
}

// serve accepts connections until ctx ends.
func (s *server) serve(ctx context.Context, listener, admin net.Listener) error {
	web := &http.Server{Handler: promhttp.HandlerFor(s.registry(), promhttp.HandlerOpts{}), ReadHeaderTimeout: 2 * time.Second}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return ended(groupCtx, err)
			}
			s.engine.Server().ServeConn(conn)
		}
	})
	group.Go(func() error { return ended(groupCtx, web.Serve(admin)) })
	group.Go(func() error {
		ticker := s.clock.NewTicker(tick)
		defer ticker.Stop()
		last, kept := s.clock.Now(), s.clock.Now()
		for {
			select {
			case <-ticker.C():
				now := s.clock.Now()
				s.engine.FastForward(now.Sub(last))
				last = now
				if now.Sub(kept) >= housekeeping {
					kept = now
					s.housekeep()
				}
			case <-groupCtx.Done():
				return errors.Join(ignoreClosed(listener.Close()), ignoreClosed(web.Close()))
			}
		}
	})
	return group.Wait()
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Closing the listener is how it ends.
	}
	return fmt.Errorf("accept connections: %w", err)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func parseArgs(args []string) (*settings, error) {
	s := newSettings()
	for i := 0; i < len(args); i += 2 {
		name, ok := strings.CutPrefix(args[i], "--")
		if !ok || i+1 == len(args) {
			return nil, fmt.Errorf("read arguments: want pairs of --name value, got %q", args[i:])
		}
		if err := s.set(name, args[i+1]); err != nil {
			return nil, fmt.Errorf("read arguments: %w", err)
		}
	}
	return s, nil
}
