package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/orchestrator"
)

// Main runs one command line and returns the exit code. It is the process boundary: nothing below it exits or prints errors.
func Main(s State) (code int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	watched := make(chan struct{})
	defer close(watched)
	app := &app{State: s}
	go app.watchSignals(cancel, watched)
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(s.Stderr, "error: panic: %v\n%s", r, debug.Stack())
			code = errs.ExitError
		}
	}()
	root := newRoot(app)
	root.SetArgs(s.Args)
	root.SetIn(s.Stdin)
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return errs.ExitOK
	}
	err = classify(err)
	if cause := context.Cause(ctx); cause != nil && errs.PartyOf(err) == errs.Interrupted && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	app.report(command, err)
	return errs.ExitCode(err)
}

// watchSignals asks for an orderly end at the first signal, and ends the process at the second.
func (a *app) watchSignals(cancel context.CancelCauseFunc, done <-chan struct{}) {
	for count := 0; ; {
		select {
		case <-done:
			return
		case sig := <-a.Signals:
			code := errs.ExitInterrupted
			if sig == syscall.SIGTERM {
				code = errs.ExitTerminated
			}
			if count++; count == 1 {
				a.say(name(sig) + ": stopping in order; once more stops at once")
				cancel(errs.With(errs.Interrupted, errs.Exit(code, fmt.Errorf("stopped by %s", name(sig)))))
				continue
			}
			a.say(name(sig) + ": stopped at once; clusters of this process end with it, what they left on the disk is removed by: gameday delete cluster --all")
			a.Exit(code)
		}
	}
}

// say tells the user something while a command runs: above the progress where that is drawn, else as a line.
func (a *app) say(text string) {
	if draw := a.drawing.Load(); draw != nil {
		(*draw).Event(orchestrator.Event{Time: time.Now(), Type: orchestrator.Note, Message: text})
		return
	}
	fmt.Fprintln(a.Stderr, text)
}

func name(sig os.Signal) string {
	if sig == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}

// flagError is what cobra finds wrong with a command line; it prints the usage, too.
type flagError struct{ err error }

func (e *flagError) Error() string { return e.err.Error() }
func (e *flagError) Unwrap() error { return e.err }

func classify(err error) error {
	var f *flagError
	if errors.As(err, &f) {
		return errs.With(errs.Usage, err)
	}
	if text := err.Error(); errs.PartyOf(err) == "" && (strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "required flag") ||
		strings.HasPrefix(text, "if any flags in the group") || strings.HasPrefix(text, "at least one of the flags")) {
		return errs.With(errs.Usage, &flagError{err})
	}
	return err
}

// report prints an error once, with what to do about it.
func (a *app) report(command *cobra.Command, err error) {
	hint := errs.HintOf(err)
	var list yamlx.ErrorList
	if errors.As(err, &list) {
		fmt.Fprintf(a.Stderr, "error: %s\n", countProblems(list))
		for _, p := range list {
			fmt.Fprintln(a.Stderr, p.String())
		}
	} else {
		fmt.Fprintf(a.Stderr, "error: %s\n", err)
	}
	var f *flagError
	usage := ""
	if errors.As(err, &f) && command != nil {
		usage = fmt.Sprintf("usage: %s\nSee '%s --help'.\n", command.UseLine(), command.CommandPath())
	}
	if hint != "" {
		fmt.Fprintf(a.Stderr, "hint: %s\n", hint)
	}
	fmt.Fprint(a.Stderr, usage)
	if a.output == render.JSON {
		report := map[string]any{"error": map[string]any{
			"kind": string(errs.PartyOf(err)), "message": err.Error(), "hint": errs.HintOf(err), "exitCode": errs.ExitCode(err),
		}}
		_ = render.Object(a.Stderr, render.JSON, report) // Nothing can be said about a broken standard error.
	}
}

func countProblems(list yamlx.ErrorList) string {
	files := map[string]bool{}
	for _, p := range list {
		files[p.File] = true
	}
	return fmt.Sprintf("%s in %s", plural(len(list), "problem"), plural(len(files), "file"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
