// Package doctor finds out, before anything is started, whether trials can run: whether this machine can have the embedded cluster, or what
// another kind of cluster needs.
package doctor

import (
	"cmp"
	"context"
	"os"
	"slices"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// Check is one thing that was looked at.
type Check = preflight.Check

// Options say what is planned. Zero values mean the defaults of a run.
type Options struct {
	// OutDir is where runs will be written; empty means that none will be.
	OutDir string
	// RuntimeDir is where clusters will be; empty means embedded.BaseDir.
	RuntimeDir string
	// TempDir is where each trial has directories for its agent; empty means os.TempDir.
	TempDir string
	// Concurrency is the number of clusters at a time; 0 is 1.
	Concurrency int
	// Quick leaves out what takes longer than milliseconds: starting the binaries.
	Quick bool
	// Root is where /proc and /sys are; empty means the machine's own.
	Root string
	// Cluster looks at what another kind of cluster than the embedded one needs, in its place; nil means the embedded one. Subject and Flags
	// are how errors call what was looked at, and what has to be added to gameday doctor to look again; empty means this machine, and nothing.
	Cluster        func(ctx context.Context) []Check
	Subject, Flags string
}

// What one cluster needs. The figures follow docs/benchmarks.md.
const (
	// clusterMemory is what a cluster with the application under load takes, 1.1 GiB, and two fifths more: for the control plane's
	// garbage during the start, a problem that leaks, and the agent.
	clusterMemory = 3 << 29
	clusterDisk   = 1 << 30
	runDisk       = 256 << 20
	// tempDisk is for the files of one trial's agent and of its kubectl.
	tempDisk = 64 << 20
	// openFiles is for the process that has most: the control plane, with some 300, and room for watches by many clients.
	openFiles = 4096
	// machineFiles is for all processes of a cluster.
	machineFiles = 4096
	// inotifyInstances is what upstream's components still take.
	inotifyInstances = 1
	ports            = 12
)

// Run looks at everything and returns what it found, what is required first. It changes nothing but for a file that it makes
// and removes in each directory.
func Run(ctx context.Context, o Options) []Check {
	o.Concurrency = max(1, o.Concurrency)
	if o.RuntimeDir == "" {
		o.RuntimeDir = embedded.BaseDir()
	}
	o.TempDir = cmp.Or(o.TempDir, os.TempDir())
	out := o.look(ctx)
	slices.SortStableFunc(out, func(a, b Check) int { return cmp.Compare(order(a), order(b)) })
	return out
}

func (o Options) look(ctx context.Context) []Check {
	var out []Check
	if o.Cluster != nil { // Of this machine it uses what every run does.
		out = o.Cluster(ctx)
		if o.OutDir != "" {
			out = append(out, directory("run directory", o.OutDir, runDisk, "--out"))
		}
		return append(out, temporary(o))
	}
	out = append(out, executables(ctx, o.Quick)...)
	out = append(out, memory(o), processors(o))
	if o.OutDir != "" {
		out = append(out, directory("run directory", o.OutDir, runDisk, "--out"))
	}
	out = append(out, directory("runtime directory", o.RuntimeDir, uint64(o.Concurrency)*clusterDisk, "XDG_RUNTIME_DIR"))
	out = append(out, temporary(o))
	out = append(out, socketPath(o), loopback(ctx), fileLimit(o), inotify(o), processLimit(o), pidfd())
	return append(out, kernel(o)...)
}

func order(c Check) int {
	if c.Required {
		return 0
	}
	return 1
}

// Healthy reports whether every required check is right.
func Healthy(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.Required && !c.OK })
}

// Error is nil where every required check is right; else it says which are not, of party infra, with what to do as its hint.
func Error(checks []Check) error { return Options{}.Refuse(checks) }

// Refuse is Error for what these options look at.
func (o Options) Refuse(checks []Check) error {
	return preflight.Refuse(cmp.Or(o.Subject, "this machine"), o.Flags, checks)
}
