// Package aci is the agent-cloud interface (ACI): everything that an agent can see and do in a trial.
//
// One catalogue of tools serves Go agents (Session is an agents.Cloud), processes over JSON lines (agents/stdio) and MCP
// clients (aci/mcpserver). All access to the cluster goes through one filtering proxy (aci/proxy), so that no tool can
// show more than another.
package aci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/scratch"
	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// ErrClosed is what calls return after Close.
var ErrClosed = errors.New("the trial is over")

// Config is what a Session is made from.
type Config struct {
	// Brief is what the agent is told: its namespace, budget, tasks and vocabularies rule the tools.
	Brief agents.Brief
	// Admin is an administrator's access to the cluster. Agents never get it: they act as proxy.User.
	Admin *rest.Config
	// Rules say what is hidden; see proxy.DefaultRules.
	Rules proxy.Rules
	// Prometheus and Jaeger are the telemetry APIs. Without one, its tools say so.
	Prometheus, Jaeger proxy.Endpoint
	// Workspace is the directory whose files kubectl may use. Empty means a temporary one, removed by Close.
	Workspace string
	// Transcript takes every call; nil discards them. It is called by one goroutine at a time, in the order in which calls ended.
	Transcript func(Entry) error
	// Clock tells the time; nil means the real one.
	Clock clock.WithTicker
	// Log takes what people may want to know of the session; nil discards it.
	Log *slog.Logger
}

// Session is the ACI of one trial. It is an agents.Cloud and an agents.UsageReporter. Methods are safe for concurrent use.
type Session struct {
	config    Config
	proxy     *proxy.Server
	kubectl   *kubectl.Kubectl
	tools     map[string]tool
	catalogue []agents.Tool
	meter     *meter
	outputs   *outputs
	recorder  *recorder
	hands     submissions
	workspace string
	temporary *scratch.Dir

	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

var (
	_ agents.Cloud         = (*Session)(nil)
	_ agents.UsageReporter = (*Session)(nil)
)

// Open opens the ACI of one trial: it makes the limited account, starts the proxy and starts the agent's clock. ctx bounds
// the opening only.
func Open(ctx context.Context, config Config) (*Session, error) {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{
		config: config, workspace: config.Workspace, closed: make(chan struct{}),
		outputs: newOutputs(), recorder: newRecorder(config.Transcript), meter: newMeter(config.Brief.Budget, config.Clock),
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open agent-cloud interface: %w", err), s.Close())
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	if s.workspace == "" {
		dir, err := scratch.MakeTemp("gameday-workspace-")
		if err != nil {
			return fmt.Errorf("make workspace: %w", err)
		}
		s.workspace, s.temporary = dir.Path(), dir
	}
	limited, err := proxy.Grant(ctx, s.config.Admin, s.config.Rules)
	if err != nil {
		return err
	}
	s.proxy, err = proxy.Start(proxy.Config{
		Upstream: limited, Rules: s.config.Rules, Prometheus: s.config.Prometheus, Jaeger: s.config.Jaeger, Log: s.config.Log,
	})
	if err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}
	if s.kubectl, err = kubectl.New(s.proxy, s.config.Brief.Namespace, s.workspace); err != nil {
		return fmt.Errorf("prepare kubectl: %w", err)
	}
	return s.buildCatalogue()
}

// Close ends the session: running calls are cancelled and later ones fail with ErrClosed. It is idempotent.
func (s *Session) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		if s.proxy != nil {
			s.closeErr = s.proxy.Close()
		}
		if s.temporary != nil {
			s.closeErr = errors.Join(s.closeErr, s.temporary.Remove())
		}
		s.closeErr = errors.Join(s.closeErr, s.recorder.err())
	})
	return s.closeErr
}

// Tools returns the catalogue, sorted by name.
func (s *Session) Tools() []agents.Tool { return s.catalogue }

// Call runs one tool; see agents.Cloud.
func (s *Session) Call(ctx context.Context, name string, args json.RawMessage) (agents.Result, error) {
	select {
	case <-s.closed:
		return agents.Result{}, ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return agents.Result{}, fmt.Errorf("call %s: %w", name, context.Cause(ctx))
	}
	step, err := s.meter.step()
	if err != nil {
		return agents.Result{}, fmt.Errorf("call %s: %w", name, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := ctx.Done() // before ctx is replaced below.
	go func() {
		select {
		case <-s.closed:
			cancel(ErrClosed)
		case <-over:
		}
	}()
	ctx, release := s.meter.bound(ctx)
	defer release()
	start := s.config.Clock.Now()
	full := s.dispatch(ctx, name, args)
	result := s.outputs.bound(full, name != toolReadOutput)
	end := s.config.Clock.Now()
	s.recorder.record(Entry{
		Step: step, Tool: name, Args: validArgs(args), Start: start.UTC(), DurationMS: float64(end.Sub(start).Microseconds()) / 1000,
		Output: result.Output, IsError: result.IsError, Truncated: result.Truncated, OutputBytes: len(full.text),
	})
	if err := ctx.Err(); err != nil {
		return agents.Result{}, fmt.Errorf("call %s: %w", name, context.Cause(ctx))
	}
	return result, nil
}

// dispatch runs the tool's handler; what goes wrong is the result.
func (s *Session) dispatch(ctx context.Context, name string, args json.RawMessage) output {
	t, ok := s.tools[name]
	if !ok {
		return failed("unknown_tool: %q; there are: %s", name, s.toolNames())
	}
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	return t.run(ctx, args)
}

// ReportUsage takes the agent's own figures; see agents.UsageReporter.
func (s *Session) ReportUsage(tokens int64, costUSD float64) error {
	return s.meter.report(tokens, costUSD)
}

// Usage is what the agent has spent so far.
func (s *Session) Usage() Usage { return s.meter.usage() }

// Submission is what the agent has handed in so far.
func (s *Session) Submission() agents.Submission { return s.hands.get() }

// Brief is what the agent is told.
func (s *Session) Brief() agents.Brief { return s.config.Brief }

// Workspace is the directory whose files kubectl may use.
func (s *Session) Workspace() string { return s.workspace }

// validArgs keeps a transcript decodable whatever an agent sent.
func validArgs(args json.RawMessage) json.RawMessage {
	if json.Valid(args) {
		return args
	}
	quoted, err := json.Marshal(string(args))
	if err != nil {
		return nil
	}
	return quoted
}
