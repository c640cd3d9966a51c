package stdio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
)

// Limits bound what a process may do to the harness. Zero values mean the defaults.
type Limits struct {
	// Line is the longest line in bytes; 1 MiB by default.
	Line int
	// Total is how much an agent may write in all; 64 MiB by default.
	Total int64
	// Stderr is how much of its standard error is kept; 4 MiB by default.
	Stderr int64
	// Calls is how many calls may be under way at once; 8 by default.
	Calls int
	// Idle is how long the agent may be silent with no call under way; 0 leaves that to the time budget.
	Idle time.Duration
	// Exit is how long it may take to end after it was done or told to end; 2 s by default.
	Exit time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Line <= 0 {
		l.Line = 1 << 20
	}
	if l.Total <= 0 {
		l.Total = 64 << 20
	}
	if l.Stderr <= 0 {
		l.Stderr = 4 << 20
	}
	if l.Calls <= 0 {
		l.Calls = 8
	}
	if l.Exit <= 0 {
		l.Exit = 2 * time.Second
	}
	return l
}

// Command is an agent that is a process. Each Solve starts it anew, in an empty directory, with an environment that holds
// what is listed here and nothing else.
type Command struct {
	// Argv is the command; its first element is looked up in PATH.
	Argv []string
	// Env are the names of environment variables that are passed on; PATH, LANG and TZ always are.
	Env []string
	// SetEnv are further variables.
	SetEnv map[string]string
	Limits Limits
	// Stderr takes the process's standard error; nil discards it.
	Stderr io.Writer
}

var _ agents.Agent = (*Command)(nil)

// Solve starts the process, sends the brief, and serves its calls until it is done, it fails, a budget is spent or ctx ends.
// When Solve returns, the process and its group are gone.
func (c *Command) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	limits := c.Limits.withDefaults()
	proc, err := c.start(limits)
	if err != nil {
		return errs.With(errs.Agent, fmt.Errorf("%w: %w", ErrStart, err))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The end of ctx closes the pipes: reads and writes that wait for the process return.
	stop := context.AfterFunc(ctx, proc.interrupt)
	defer stop()
	s := &session{ctx: ctx, cancel: cancel, cloud: cloud, limits: limits, out: proc.stdin, in: newLineReader(proc.stdout, limits)}
	err = s.serve(brief)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, errDone) {
		err = cause // What ended the conversation explains why the pipe broke.
	}
	if !errors.Is(err, errDone) {
		cancel(err) // Nobody waits for the calls of an agent that has failed.
	}
	s.calls.Wait()
	code := proc.end(limits.Exit)
	s.in.drain()
	switch {
	case errors.Is(err, errDone):
		return nil
	case errors.Is(err, io.EOF):
		return errs.With(errs.Agent, fmt.Errorf("%w (%s)", ErrExited, code))
	}
	return err
}

// errDone ends a session that went well.
var errDone = errors.New("done")

// session is one conversation.
type session struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	cloud  agents.Cloud
	limits Limits
	in     *lineReader
	calls  sync.WaitGroup

	mu  sync.Mutex
	out io.Writer
}

// serve sends the brief and answers calls. It ends with errDone, io.EOF or a named error.
func (s *session) serve(brief agents.Brief) error {
	// An agent that ended at once is told from its output, not from the broken pipe.
	_ = s.send(briefMessage{Type: typeBrief, Protocol: ProtocolVersion, Brief: brief, Tools: s.cloud.Tools()})
	slots := make(chan struct{}, s.limits.Calls)
	busy := func() bool { return len(slots) > 0 }
	for {
		line, err := s.in.next(s.ctx, s.limits.Idle, busy)
		if err != nil {
			return err
		}
		var m fromAgent
		if err := json.Unmarshal(line, &m); err != nil {
			return errs.With(errs.Agent, fmt.Errorf("%w: %q", ErrGarbage, excerpt(line)))
		}
		switch m.Type {
		case typeDone:
			s.calls.Wait()
			return errDone
		case typeUsage:
			if err := s.report(m); err != nil {
				return err
			}
		case typeCall:
			select {
			case slots <- struct{}{}:
			case <-s.ctx.Done():
				return context.Cause(s.ctx)
			}
			s.calls.Go(func() {
				defer func() { <-slots }()
				s.call(m)
			})
		default:
			return errs.With(errs.Agent, fmt.Errorf("%w: unknown type: %q", ErrGarbage, excerpt(line)))
		}
	}
}

// call runs one tool. An error of the cloud ends the conversation.
func (s *session) call(m fromAgent) {
	result, err := s.cloud.Call(s.ctx, m.Tool, m.Args)
	if err != nil {
		_ = s.send(endMessage{typeEnd, err.Error()})
		s.cancel(err)
		return
	}
	if err := s.send(resultMessage{typeResult, m.ID, result}); err != nil {
		s.cancel(errs.With(errs.Agent, fmt.Errorf("%w: it closed its standard input", ErrExited)))
	}
}

func (s *session) report(m fromAgent) error {
	reporter, ok := s.cloud.(agents.UsageReporter)
	if !ok {
		return nil
	}
	if err := reporter.ReportUsage(m.Tokens, m.CostUSD); err != nil {
		_ = s.send(endMessage{typeEnd, err.Error()})
		return err
	}
	return nil
}

func (s *session) send(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write to agent: %w", err)
	}
	return nil
}

func excerpt(line []byte) string {
	const most = 120
	if len(line) > most {
		return string(line[:most]) + "..."
	}
	return string(line)
}
