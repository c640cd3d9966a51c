// Command conformance runs the unmodified conformance tests of the Kubernetes release in go.mod against an embedded cluster and
// writes what came of it.
//
// It builds nothing: `make conformance` builds upstream's test binary (k8s.io/kubernetes/test/e2e), the ginkgo command and
// kubectl from the module cache and passes their directory, and package samples, whose images gameday does not ship. The clusters
// that are made find these by GAMEDAY_PROGRAMS; one that is there already (--kubeconfig) has to have them. The tests run in
// batches: first those that may run beside others, then the serial ones, one at a time. After each batch, also an interrupted
// one, the outcome is on disk: a run that was interrupted goes on with --resume, and --only reruns what failed. An outcome names
// the build that it is of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	tools    string
	gameday  string
	work     string
	lists    string
	report   string
	clusters int
	procs    int
	nodes    int
	batch    int
	timeout  time.Duration
	deadline time.Duration
	focus    string
	resume   bool
	only     string
	render   bool
	existing string
	// build is what the gameday executable says it is.
	build string
}

func main() {
	var o options
	flag.StringVar(&o.tools, "tools", "", "directory with e2e.test, ginkgo and kubectl")
	flag.StringVar(&o.gameday, "gameday", "gameday", "the gameday executable that makes the clusters")
	flag.StringVar(&o.work, "work", "", "directory for outcomes, logs and reports")
	flag.StringVar(&o.lists, "lists", ".", "directory with skipped.yaml and causes.yaml")
	flag.StringVar(&o.report, "report", "", "Markdown file to write")
	flag.IntVar(&o.clusters, "clusters", 1, "clusters at a time")
	flag.IntVar(&o.procs, "procs", 8, "tests at a time on each cluster")
	flag.IntVar(&o.nodes, "nodes", 3, "worker nodes of each cluster")
	flag.IntVar(&o.batch, "batch", 100, "tests per batch")
	flag.DurationVar(&o.timeout, "timeout", time.Hour, "longest time of one batch")
	flag.DurationVar(&o.deadline, "deadline", 0, "start no batch after this time; 0 for none")
	flag.StringVar(&o.focus, "focus", "", "run only the tests whose names match this expression")
	flag.BoolVar(&o.resume, "resume", false, "keep the outcomes of the last run and run only what it did not come to")
	flag.StringVar(&o.only, "only", "", "with --resume, also run again the tests whose outcome this is: failed")
	flag.StringVar(&o.existing, "kubeconfig", "", "use this cluster instead of making one")
	flag.BoolVar(&o.render, "render", false, "run nothing, write the report from the outcomes on disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.tools == "" || o.work == "" || o.report == "" {
		return errors.New("want --tools, --work and --report")
	}
	if err := os.MkdirAll(o.work, 0o755); err != nil {
		return fmt.Errorf("make work directory: %w", err)
	}
	skipped, err := loadNotes(filepath.Join(o.lists, "skipped.yaml"))
	if err != nil {
		return err
	}
	causes, err := loadNotes(filepath.Join(o.lists, "causes.yaml"))
	if err != nil {
		return err
	}
	version, err := release(o.lists)
	if err != nil {
		return err
	}
	specs, err := listSpecs(ctx, o)
	if err != nil {
		return err
	}
	if err := skipped.check(specs); err != nil {
		return err
	}
	if err := causes.check(specs); err != nil {
		return err
	}
	store, err := openStore(filepath.Join(o.work, "outcomes.jsonl"), o.resume || o.render)
	if err != nil {
		return err
	}
	defer store.close()
	if !o.render {
		todo, err := choose(specs, skipped, store, o)
		if err != nil {
			return err
		}
		if o.build, err = buildOf(ctx, o.gameday); err != nil {
			return err
		}
		if err := runAll(ctx, o, todo, store); err != nil {
			return err
		}
	}
	return writeReport(o.report, version, specs, skipped, causes, store)
}

// choose leaves out what is skipped, has an outcome already, or is not asked for.
func choose(specs []string, skipped notes, store *store, o options) ([]string, error) {
	focus, err := regexp.Compile(o.focus)
	if err != nil {
		return nil, fmt.Errorf("read --focus: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(specs), func(name string) bool {
		_, skip := skipped[name]
		outcome, done := store.get(name)
		again := o.only != "" && done && outcome.State == o.only
		return skip || !focus.MatchString(name) || done && !again
	}), nil
}
