package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"golang.org/x/sync/errgroup"
)

// maxMessage bounds how much of a failure's words is kept, in bytes.
const maxMessage = 4 << 10

// interruptGrace is how long Ginkgo may take to end after it was asked to: the tests under way clean up first.
const interruptGrace = 3 * time.Minute

// batch are tests that run together, procs at a time.
type batch struct {
	tests []string
	procs int
}

// serial is how upstream marks a test that no other may run beside.
const serial = "[Serial]"

// plan makes batches of at most size tests. The serial tests come last, by themselves: in a batch with others all but one
// process would wait for them.
func plan(tests []string, size, procs int) []batch {
	var alone, together []string
	for _, name := range tests {
		if strings.Contains(name, serial) {
			alone = append(alone, name)
		} else {
			together = append(together, name)
		}
	}
	var out []batch
	for part := range slices.Chunk(together, size) {
		out = append(out, batch{part, min(procs, len(part))})
	}
	for part := range slices.Chunk(alone, size) {
		out = append(out, batch{part, 1})
	}
	return out
}

// runAll spreads the tests in batches over the clusters.
func runAll(ctx context.Context, o options, todo []string, store *store) error {
	start := time.Now()
	planned := plan(todo, o.batch, o.procs)
	batches := make(chan batch, len(planned))
	for _, b := range planned {
		batches <- b
	}
	close(batches)
	group, ctx := errgroup.WithContext(ctx)
	clusters := min(o.clusters, len(batches))
	if o.existing != "" {
		clusters = min(1, len(batches))
	}
	for i := range clusters {
		group.Go(func() error {
			name, kubeconfig := fmt.Sprintf("conformance-%d", i+1), o.existing
			if kubeconfig == "" {
				var err error
				if kubeconfig, err = createCluster(ctx, o, name); err != nil {
					return err
				}
				defer deleteCluster(o, name)
			}
			for b := range batches {
				if o.deadline > 0 && time.Since(start) > o.deadline {
					return nil
				}
				if err := runBatch(ctx, o, name, kubeconfig, b, store); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// createCluster makes a cluster with the control loops of a real one and returns the path of its kubeconfig.
func createCluster(ctx context.Context, o options, name string) (string, error) {
	cmd := exec.CommandContext(ctx, o.gameday, "create", "cluster", name, "--nodes", strconv.Itoa(o.nodes), "--fidelity", "production", "-q")
	cmd.Stderr = os.Stderr
	// Interrupted, it takes back what it has made; killed, it could not.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = interruptGrace
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("create cluster %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func deleteCluster(o options, name string) {
	cmd := exec.Command(o.gameday, "delete", "cluster", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "delete cluster %s: %v: %s\n", name, err, out)
	}
}

// runBatch runs some tests and stores their outcomes. Failing tests are no error; tests that the batch did not come to in its
// time have no outcome.
func runBatch(ctx context.Context, o options, cluster, kubeconfig string, b batch, store *store) error {
	dir, err := os.MkdirTemp(o.work, cluster+"-"+time.Now().UTC().Format("150405")+"-")
	if err != nil {
		return fmt.Errorf("make directory of batch: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "log.txt"))
	if err != nil {
		return fmt.Errorf("make log of batch: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(o.tools, "ginkgo"), "--procs="+strconv.Itoa(b.procs), "--timeout="+o.timeout.String(),
		"--no-color", "--silence-skips", "--json-report=report.json", "--output-dir="+dir, "--focus="+focusOn(b.tests),
		filepath.Join(o.tools, "e2e.test"), "--", "--kubeconfig="+kubeconfig, "--provider=skeleton", "--disable-log-dump",
		"--kubectl-path="+filepath.Join(o.tools, "kubectl"), "--system-pods-startup-timeout=2m")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	// A group of its own: Ginkgo leaves it to the terminal to interrupt the processes that run its tests, and none of them may
	// outlive it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = interruptGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	fmt.Printf("%s: %d tests, log in %s\n", cluster, len(b.tests), log.Name())
	runErr := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var exit *exec.ExitError
	if runErr != nil && !errors.As(runErr, &exit) {
		return fmt.Errorf("run tests: %w", runErr)
	}
	reports, err := readReports(filepath.Join(dir, "report.json"))
	if err != nil {
		return errors.Join(err, runErr)
	}
	counts := map[string]int{}
	for _, spec := range reports {
		out, ok := outcomeOf(spec)
		if !ok {
			continue
		}
		out.Build = o.build
		counts[out.State]++
		if err := store.put(out); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %d passed, %d failed, %d skipped by themselves\n", cluster, counts["passed"], counts["failed"], counts["skipped"])
	if len(counts) == 0 {
		return fmt.Errorf("run tests: no test ran, see %s", log.Name())
	}
	return ctx.Err()
}

// outcomeOf is false for a test that was not run, or that was cut off by the end of its batch.
func outcomeOf(spec types.SpecReport) (outcome, bool) {
	out := outcome{Name: spec.FullText(), Took: spec.RunTime, At: spec.EndTime.UTC()}
	switch {
	case spec.State == types.SpecStatePassed:
		out.State = "passed"
	case spec.State.Is(types.SpecStateFailed | types.SpecStatePanicked):
		out.State = "failed"
	case spec.State == types.SpecStateSkipped && spec.Failure.Message != "":
		out.State = "skipped"
	default:
		return outcome{}, false
	}
	out.Message = spec.Failure.Message
	if len(out.Message) > maxMessage {
		out.Message = out.Message[:maxMessage]
	}
	return out, true
}
