package kind

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	kindexec "sigs.k8s.io/kind/pkg/exec"

	"github.com/gameday-bench/gameday/internal/proctree"
)

const (
	// strandLimit is how long work of kind's may take to fail once its commands have been ended.
	strandLimit = 20 * time.Second
	strandCheck = 200 * time.Millisecond
)

// bounded runs work, which calls kind's library, and returns its error. kind knows no context: when ctx ends, the commands of the engine
// that it has started for one of these containers or for the cluster are ended until work gives up. The error is then the cause of
// ctx; it says so when even that does not help, and work goes on behind the scenes.
func bounded(ctx context.Context, cluster string, containers []string, work func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return withOutput(err)
	case <-ctx.Done():
	}
	late := time.NewTimer(strandLimit)
	defer late.Stop()
	tick := time.NewTicker(strandCheck)
	defer tick.Stop()
	for {
		endCommands(cluster, containers)
		select {
		case <-done: //nolint:errcheck // It fails because its commands were ended; why they were is what counts.
			return context.Cause(ctx)
		case <-late.C:
			return fmt.Errorf("%w; the container engine has not let go for %s", context.Cause(ctx), strandLimit)
		case <-tick.C:
		}
	}
}

// endCommands kills the children of this process whose arguments name the cluster or one of its containers.
func endCommands(cluster string, containers []string) {
	table, err := proctree.Table()
	if err != nil {
		return // Without /proc they end by themselves, or not.
	}
	for _, p := range table {
		if p.Parent != os.Getpid() {
			continue
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if err != nil {
			continue
		}
		if slices.ContainsFunc(strings.Split(string(data), "\x00"), func(arg string) bool { return names(arg, cluster, containers) }) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
}

// names is true for an argument that is about a container of the cluster, or about all of them by their label.
func names(arg, cluster string, containers []string) bool {
	return slices.Contains(containers, arg) || arg == clusterLabel+"="+cluster || arg == "label="+clusterLabel+"="+cluster
}

// withOutput adds what a failed command has said, which kind's errors leave out.
func withOutput(err error) error {
	if err == nil {
		return nil
	}
	failed := kindexec.RunErrorForError(err)
	if failed == nil {
		return err
	}
	said := lastLines(string(failed.Output), 5)
	if said == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}
