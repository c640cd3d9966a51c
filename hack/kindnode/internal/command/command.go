// Package command runs other programs.
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Cmd is a program to run.
type Cmd struct {
	// Dir is its working directory; empty: this process's.
	Dir string
	// Env is added to this process's environment.
	Env []string
	// Stdin is what it reads; nil: nothing.
	Stdin io.Reader
	// Name is looked for in PATH when it has no slash.
	Name string
	Args []string
}

// grace is how long an interrupted program has to end by itself.
const grace = 10 * time.Second

// Run runs c to its end and returns what it wrote to stdout. When ctx ends, the program is interrupted, and killed when that does
// not help. The error of a program that fails holds the end of what it printed.
func Run(ctx context.Context, c Cmd) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	var stdout bytes.Buffer
	var both tail
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, &both), &both
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("run %s: %w", c.Name, context.Cause(ctx))
	}
	return nil, fmt.Errorf("run %s: %w%s", strings.Join(append([]string{c.Name}, c.Args...), " "), err, both.indented())
}
