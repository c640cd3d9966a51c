package doctor

import (
	"context"

	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
)

// onExisting looks at the cluster that is planned, and at what this machine does for it: it needs no binaries, memory or ports.
func onExisting(ctx context.Context, o Options) []Check {
	var out []Check
	for _, c := range o.Existing.Check(ctx) {
		out = append(out, Check(c))
	}
	if o.OutDir != "" {
		out = append(out, directory("run directory", o.OutDir, runDisk, "--out"))
	}
	return append(out, temporary(o))
}

// Error is nil where every required check is right; else it says which are not, of the cluster that the options mean.
func (o Options) Error(checks []Check) error {
	if o.Existing == nil {
		return Error(checks)
	}
	var all []existing.Check
	for _, c := range checks {
		all = append(all, existing.Check(c))
	}
	return existing.CheckError(o.Existing.Context, all)
}
