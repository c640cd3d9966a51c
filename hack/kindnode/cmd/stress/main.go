// Command stress takes CPU time or memory until it is told to end. Chaos Mesh's daemon calls it under two names, with the options that it
// gives to the tools of those names:
//
//	stress-ng --cpu N [--cpu-load PERCENT] [--cpu-method METHOD] [--cpu-load-slice N] [--timeout DURATION]
//	memStress --workers N --size SIZE [--time DURATION]
//
// Other options of theirs are refused: they would be believed to have an effect.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	run := cpu
	if filepath.Base(os.Args[0]) == "memStress" {
		run = memory
	}
	err := run(ctx, os.Args[1:])
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("stress")

// parse reads args with flags.
func parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: unexpected argument %s", errUsage, flags.Arg(0))
	}
	return nil
}

func cpu(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("stress-ng", flag.ContinueOnError)
	workers := flags.Int("cpu", 0, "workers; 0 for one per processor")
	load := flags.Int("cpu-load", full, "load of each, in percent")
	timeout := flags.Duration("timeout", 0, "end after this time; 0 for never")
	// What the work is makes no difference to who competes for the processor.
	flags.String("cpu-method", "", "ignored")
	flags.Int("cpu-load-slice", 0, "ignored")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *workers < 0 || *load < 0 || *load > full {
		return fmt.Errorf("%w: want --cpu of 0 or more, and --cpu-load of 0 to 100", errUsage)
	}
	if *timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *timeout)
		defer cancel()
	}
	burn(ctx, *workers, *load)
	return nil
}

func memory(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("memStress", flag.ContinueOnError)
	workers := flags.Int("workers", 1, "workers")
	text := flags.String("size", "100%", "memory of each: a number with a unit, or percent of the machine's")
	grow := flags.Duration("time", 0, "time in which it is taken")
	if err := parse(flags, args); err != nil {
		return err
	}
	total, err := machineMemory()
	if err != nil {
		return err
	}
	each, err := size(*text, total)
	if err != nil {
		return fmt.Errorf("%w: --size: %w", errUsage, err)
	}
	if *workers < 1 {
		return fmt.Errorf("%w: want --workers of 1 or more", errUsage)
	}
	return hold(ctx, each*int64(*workers), *grow, func(d time.Duration) <-chan time.Time { return time.After(d) })
}
