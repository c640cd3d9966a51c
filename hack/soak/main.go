// Command soak looks for what grows: it makes and removes clusters many times over, and keeps one with the application
// under load for a long time, while it counts memory, file descriptors, goroutines, processes and bytes on the disk.
//
//	go run ./hack/soak [-cycles N] [-load DURATION] [-rate RPS]
//
// A quantity grows when its median over the last quarter of the samples is above that over the second quarter by more than
// its margin; the first quarter is the warm-up. What grows is named, and the exit code is 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"
)

type options struct {
	cycles int
	load   time.Duration
	every  time.Duration
	rate   float64
}

func main() {
	var o options
	flag.IntVar(&o.cycles, "cycles", 200, "how many clusters to make, use and remove")
	flag.DurationVar(&o.load, "load", time.Hour, "how long to keep one cluster with the application under load")
	flag.DurationVar(&o.every, "every", 15*time.Second, "how often to count while under load")
	flag.Float64Var(&o.rate, "rate", 20, "the load, in requests per second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// soak plays both parts and prints one table.
func soak(ctx context.Context, o options) error {
	var rows []verdict
	if o.cycles > 0 {
		got, err := cycles(ctx, o.cycles)
		if err != nil {
			return fmt.Errorf("make and remove clusters: %w", err)
		}
		rows = append(rows, got...)
	}
	if o.load > 0 {
		got, err := underLoad(ctx, o)
		if err != nil {
			return fmt.Errorf("keep a cluster under load: %w", err)
		}
		rows = append(rows, got...)
	}
	return report(rows)
}

func report(rows []verdict) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| samples\t| second quarter\t| last quarter\t| margin\t| grows\t|")
	fmt.Fprintln(w, "| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---\t|")
	var grown []error
	for _, r := range rows {
		answer := "no"
		if r.grows() {
			answer = "**yes**"
			grown = append(grown, fmt.Errorf("%s: from %s to %s", r.name, r.format(r.early), r.format(r.late)))
		}
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %s\t| %s\t| %s\t|\n", r.name, r.samples, r.format(r.early), r.format(r.late), r.format(r.margin), answer)
	}
	return errors.Join(append([]error{w.Flush()}, grown...)...)
}
