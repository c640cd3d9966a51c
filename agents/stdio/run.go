package stdio

import (
	"context"
	"fmt"
	"io"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Run starts the process with no conversation on its standard streams: for agents that attach in another way. What it prints
// goes to Stderr, bounded. It returns when the process has ended: nil for exit code 0, ErrExited for another one, what
// ended ctx otherwise. env are further variables.
func (c *Command) Run(ctx context.Context, env map[string]string, input io.Reader) error {
	limits := c.Limits.withDefaults()
	run := *c
	run.SetEnv = map[string]string{}
	for _, vars := range []map[string]string{c.SetEnv, env} {
		for k, v := range vars {
			run.SetEnv[k] = v
		}
	}
	proc, err := run.start(limits)
	if err != nil {
		return errs.With(errs.Agent, fmt.Errorf("%w: %w", ErrStart, err))
	}
	go func() {
		_, _ = io.Copy(proc.stdin, input)
		proc.stdin.Close()
	}()
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		_, _ = io.Copy(proc.stderr, proc.stdout)
	}()
	ended := make(chan error, 1)
	go func() { ended <- proc.cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		proc.interrupt()
		_ = proc.reap(limits.Exit, ended)
		<-printed
		return context.Cause(ctx)
	}
	_ = proc.reap(limits.Exit, nil)
	<-printed
	if err != nil {
		return errs.With(errs.Agent, fmt.Errorf("%w (%w)", ErrExited, err))
	}
	return nil
}
