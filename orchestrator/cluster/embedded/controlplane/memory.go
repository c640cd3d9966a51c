package controlplane

import (
	"runtime/debug"
)

const (
	// startHeap is how much memory the start may use before it collects garbage. Collecting earlier takes a third
	// of the start's processor time. Collecting later leaves what stays scattered over more pages, which are not
	// given back: without a limit 350 MB stay resident, with this one 290 MB, with half of it 240 MB and twice the
	// processor time.
	startHeap = 500 << 20
	// runningGC is the collector's target afterwards: a control plane's rate of garbage is low, and many clusters
	// share a machine.
	runningGC = 50
)

// relaxMemory suspends garbage collection for the start, up to startHeap. What it returns ends that and gives the
// garbage back to the operating system.
func relaxMemory() (settle func()) {
	limit := debug.SetMemoryLimit(startHeap)
	debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(runningGC)
		debug.SetMemoryLimit(limit)
		debug.FreeOSMemory()
	}
}
