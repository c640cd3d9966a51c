package traffic

import (
	"context"
	"encoding/json"
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

// Port is where the generator serves /status, /metrics and /healthz.
const Port = 6565

// StartVariable is the environment variable with the beginning of the schedule, in RFC 3339. Without it, it is now.
const StartVariable = "SCHEDULE_START"

// Repository and Tag are the generator's image.
const (
	Repository = "registry.local/loadtest/traffic"
	Tag        = "1.3.0"
)

// Image is the generator's image.
func Image() program.Image {
	return program.Image{Repository: Repository, Tags: []string{Tag}, User: program.NonRoot, Program: Run, Ports: []string{fmt.Sprintf("%d/tcp", Port)}}
}

// Status is the answer of GET /status.
type Status struct {
	// Start is the beginning of the schedule; Now is when this status was taken.
	Start time.Time `json:"start"`
	Now   time.Time `json:"now"`
	Seed  uint64    `json:"seed"`
	// Due is the number of requests that have been due since Start, those before the generator was there included.
	Due    uint64        `json:"due"`
	Routes []RouteStatus `json:"routes"`
}

// RouteStatus is one route's part of a Status.
type RouteStatus struct {
	Name string `json:"name"`
	// Outcomes counts requests: ok is good, everything else is a failure.
	Outcomes map[string]uint64 `json:"outcomes"`
	// LastErrors holds the last error by outcome.
	LastErrors map[string]string `json:"lastErrors,omitempty"`
}

// Sent returns the number of requests that have ended, and how many of them were good.
func (s Status) Sent() (all, good uint64) {
	for _, r := range s.Routes {
		for outcome, n := range r.Outcomes {
			all += n
			if outcome == outcomeOK {
				good += n
			}
		}
	}
	return all, good
}

// Status returns what has been done so far.
func (g *Generator) Status() Status {
	s := Status{Start: g.start, Now: g.clock.Now().UTC(), Seed: g.profile.Seed, Due: g.due.Load()}
	for i := range g.metrics.routes {
		r := &g.metrics.routes[i]
		s.Routes = append(s.Routes, RouteStatus{Name: r.name, Outcomes: r.totals(), LastErrors: g.errors.of(r.name)})
	}
	return s
}

// Handler serves GET /status, /metrics and /healthz.
func (g *Generator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.metrics.handler())
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(g.Status())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

// Run is the program. Flags: --profile (a file with one profile), --address.
func Run(ctx context.Context, sys *program.Sys) error {
	fs := flag.NewFlagSet("traffic", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	file := fs.String("profile", "/etc/traffic/profile.yaml", "file with the load profile")
	address := fs.String("address", fmt.Sprintf(":%d", Port), "address to listen on")
	if err := fs.Parse(sys.Args); err != nil {
		return &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: %w", err)}
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(60)
	}
	data, err := program.ReadFile(sys.Files, *file)
	if err != nil {
		return fmt.Errorf("read profile: %w", err)
	}
	profile, err := ParseProfile(*file, data)
	if err != nil {
		return err
	}
	start := sys.Clock.Now().UTC()
	if v := sys.Getenv(StartVariable); v != "" {
		if start, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return fmt.Errorf("read %s: %w", StartVariable, err)
		}
	}
	log := slog.New(slog.NewJSONHandler(sys.Stderr, nil))
	g, err := New(profile, start, sys.Net, sys.Clock, log)
	if err != nil {
		return err
	}
	listener, err := sys.Net.Listen(ctx, "tcp", *address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("load is on", "profile", profile.String(), "target", profile.Target, "start", start)
	web := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	group.Go(func() error { g.Run(ctx); return web.Close() })
	return group.Wait()
}
