// Package service is what every service of the hotel application is made of: configuration, logs, traces, metrics, gRPC
// and HTTP servers and clients, SQL and cache access with pools, timeouts and bounded retries, health and orderly shutdown.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
)

// The memory of a service is small, so the collector runs often and the limit is soft.
const (
	gcPercent   = 150
	memoryLimit = 96 << 20
)

// drain is how long requests in progress may take to finish after SIGTERM, and settle is how long the service goes on
// accepting while its endpoint is being taken out of the load balancers.
const (
	settle = 500 * time.Millisecond
	drain  = 5 * time.Second
)

// Service is one running service. Its fields are set by Run; methods may be called concurrently.
type Service struct {
	// Name is the service's name: frontend, search and so on.
	Name string
	Sys  *program.Sys
	Log  *slog.Logger

	traces  *traces
	metrics *metrics
	tasks   []task
	closers []func()
}

// task is something that runs for as long as the service does. stop begins its orderly end.
type task struct {
	name string
	run  func(ctx context.Context) error
	stop func(ctx context.Context)
}

// Setup builds a service: it opens stores and clients and adds servers.
type Setup func(ctx context.Context, s *Service) error

// Program turns a Setup into the program of an image.
func Program(name string, setup Setup) program.Func {
	return func(ctx context.Context, sys *program.Sys) error { return Run(ctx, sys, name, setup) }
}

// Run runs a service until ctx ends, then drains it. The error says what could not be started or what failed while running.
func Run(ctx context.Context, sys *program.Sys, name string, setup Setup) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	s := &Service{Name: name, Sys: sys}
	s.Log = newLogger(sys, name)
	var err error
	if s.traces, err = newTraces(s); err != nil {
		return fmt.Errorf("set up traces: %w", err)
	}
	defer s.close()
	s.metrics = newMetrics(sys)
	if err := s.addAdmin(ctx); err != nil {
		return err
	}
	if err := setup(ctx, s); err != nil {
		return fmt.Errorf("set up %s: %w", name, err)
	}
	s.Log.Info("service started", "version", sys.Variant)
	err = s.serve(ctx)
	s.Log.Info("service stopped")
	return err
}

// serve runs the tasks until ctx ends or one of them fails.
func (s *Service) serve(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	taskCtx, cancel := context.WithCancel(groupCtx)
	defer cancel()
	for _, t := range s.tasks {
		group.Go(func() error {
			if err := t.run(taskCtx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("run %s: %w", t.name, err)
			}
			return nil
		})
	}
	select {
	case <-groupCtx.Done():
	case <-ctx.Done():
		s.Log.Info("shutting down")
		s.wait(groupCtx, settle)
	}
	stopCtx, stopped := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer stopped()
	for i := len(s.tasks) - 1; i >= 0; i-- {
		if stop := s.tasks[i].stop; stop != nil {
			stop(stopCtx)
		}
	}
	cancel()
	return group.Wait()
}

func (s *Service) wait(ctx context.Context, d time.Duration) {
	timer := s.Sys.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// repeat calls f at once and then again after the time that it returns, until the service ends.
func (s *Service) repeat(name string, f func(ctx context.Context) time.Duration) {
	s.tasks = append(s.tasks, task{name: name, run: func(ctx context.Context) error {
		for ctx.Err() == nil {
			s.wait(ctx, f(ctx))
		}
		return nil
	}})
}

func (s *Service) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *Service) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.traces.close(ctx)
}
