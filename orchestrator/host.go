package orchestrator

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/results"
)

// host describes this machine. What cannot be read is left out.
func host() results.Host {
	h := results.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.Kernel = strings.TrimSpace(string(data))
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		first, _, _ := strings.Cut(string(data), "\n")
		if fields := strings.Fields(first); len(fields) >= 2 && fields[0] == "MemTotal:" {
			if kib, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				h.MemoryBytes = kib << 10
			}
		}
	}
	return h
}
