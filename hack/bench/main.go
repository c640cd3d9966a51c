// Command bench measures what docs/benchmarks.md reports and prints it as one table. It measures whole clusters on this
// machine, one after the other; nothing else should run meanwhile.
//
//	go run ./hack/bench [-cluster KIND] [-only ROW,...] [-runs N] [-smoke-repeats N] [-kill-rounds N] [-limit DURATION] [-out DIR] [-json FILE]
//
// The table of another kind of cluster than embedded is made of whole runs of gameday, on that kind and on embedded in turn, so that
// one table has the figures of both and what they are to each other.
//
// Each row is printed when it is finished, so that a bench that is interrupted keeps what it has.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measurement makes one or more rows, and hands each over as soon as it has it.
type measurement struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

// bench is what measurements share.
type bench struct {
	options
	table *table
}

// options are the command line's.
type options struct {
	// cluster is the kind of cluster that is measured.
	cluster      string
	runs         int
	smokeRepeats int
	smokeJobs    int
	killRounds   int
	// limit ends a run of the row trials, so that a machine that is too small for -j 4 still gets its table.
	limit time.Duration
	only  []string
	// out is where runs are kept, json the file of the rows.
	out, json string
}

// add reports rows that are finished.
func (b *bench) add(rows ...row) error { return b.table.add(rows...) }

// fail reports a row that could not be measured, so that those that follow are. An interrupt is no such row: its error is
// handed back.
func (b *bench) fail(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s failed: %v\n", name, err)
	// What follows the first line is a cluster's log: too long for a cell.
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return b.add(row{Name: name, Measured: "failed", Note: reason})
}

// The kinds of clusters. The first is linked into this program, and what others are compared with.
const (
	onEmbedded = "embedded"
	onKind     = "kind"
)

// measurements are the rows of one kind of cluster. There are none for a kind that is not known.
func measurements(cluster string) []measurement {
	switch cluster {
	case onEmbedded:
		return embeddedMeasurements()
	case onKind:
		return []measurement{{"fresh", measureFresh}, {"reused", measureReused}}
	}
	return nil
}

func embeddedMeasurements() []measurement {
	return []measurement{
		{"cluster", measureCluster},
		{"app", measureApp},
		{"cost", measureCost},
		{"throughput", measureThroughput},
		{"pods", measurePods},
		{"parallel", measureParallel},
		{"parallel-app", measureParallelApp},
		{"trials", measureTrials},
		{"smoke", measureSmoke},
		{"kills", measureKills},
	}
}

func main() {
	var o options
	flag.StringVar(&o.cluster, "cluster", onEmbedded, "kind of cluster to measure: "+onEmbedded+", "+onKind)
	flag.IntVar(&o.runs, "runs", 5, "how often to repeat what is reported as a median")
	flag.IntVar(&o.smokeRepeats, "smoke-repeats", 5, "how often to play the smoke suite")
	flag.IntVar(&o.smokeJobs, "smoke-jobs", 1, "trials at a time of the smoke suite")
	flag.IntVar(&o.killRounds, "kill-rounds", 5, "how often to kill each of parent, control plane and node")
	flag.DurationVar(&o.limit, "limit", 15*time.Minute, "interrupt each run of the row trials after this")
	only := flag.String("only", "", "measure only these, by comma: "+strings.Join(names(onEmbedded), ", ")+"; of "+onKind+": "+strings.Join(names(onKind), ", "))
	flag.StringVar(&o.out, "out", "", "keep the run directories below this one (default: a temporary directory, which is named and stays)")
	flag.StringVar(&o.json, "json", "", "write the rows to this file, too")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func names(cluster string) []string {
	var out []string
	for _, m := range measurements(cluster) {
		out = append(out, m.name)
	}
	return out
}

// measure makes the rows one after the other. What fails is a row, too; an interrupt ends it with what there is.
func measure(ctx context.Context, o options) error {
	known := names(o.cluster)
	if len(known) == 0 {
		return fmt.Errorf("choose cluster: there is no %q, only %s and %s", o.cluster, onEmbedded, onKind)
	}
	for _, name := range o.only {
		if !slices.Contains(known, name) {
			return fmt.Errorf("choose rows: there is no %q, only %s", name, strings.Join(known, ", "))
		}
	}
	b := &bench{options: o, table: newTable(os.Stdout, o.json)}
	for _, m := range measurements(o.cluster) {
		if len(o.only) > 0 && !slices.Contains(o.only, m.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "measuring %s ...\n", m.name)
		err := m.run(ctx, b)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("measure %s: %w", m.name, context.Cause(ctx)), err)
		}
		if err != nil {
			if err := b.fail(ctx, m.name, err); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "measured %s in %s\n", m.name, time.Since(began).Round(time.Second))
	}
	return nil
}

// median of a non-empty list; it is sorted afterwards.
func median(values []time.Duration) time.Duration {
	slices.Sort(values)
	return values[len(values)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func list(values []time.Duration) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%.1f", v.Seconds()))
	}
	return strings.Join(out, " ")
}
