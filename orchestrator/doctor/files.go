package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/internal/oslimit"
)

// fileLimit checks how many files one process may have open, which every process of a cluster raises to the hard limit by itself,
// and how many the machine has left for all of them.
func fileLimit(o Options) Check {
	need := uint64(openFiles)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return Check{Name: "open files", Detail: fmt.Sprintf("read the limit: %v", err)}
	}
	c := Check{Name: "open files", Required: true, OK: limit.Max >= need, Detail: fmt.Sprintf("%s each process, want %d", count(limit.Max), need)}
	if !c.OK {
		c.Hint = fmt.Sprintf("raise the hard limit: ulimit -Hn %d", need)
		return c
	}
	machine, err := oslimit.Files(root(o))
	if err != nil {
		return c // Without /proc the kernel check fails; a machine without this file has no such limit.
	}
	all := uint64(o.Concurrency) * machineFiles
	c.Detail += fmt.Sprintf("; %s free on the machine, want %d", count(machine.Free()), all)
	if machine.Free() < all {
		c.OK, c.Hint = false, fmt.Sprintf("raise the machine's limit: sudo sysctl -w fs.file-max=%d, or lower --concurrency", machine.Used+2*all)
	}
	return c
}

// inotify checks for what upstream's components watch files with. Clusters work without, but other programs of the user do not when a
// cluster has taken the last.
func inotify(o Options) Check {
	c := Check{Name: "inotify instances"}
	level, err := oslimit.Inotify(root(o))
	if err != nil {
		c.Detail = err.Error()
		return c
	}
	need := uint64(o.Concurrency) * inotifyInstances
	c.OK = level.Free() >= need
	c.Detail = fmt.Sprintf("%d of %d free for this user, want %d", level.Free(), level.Max, need)
	if !c.OK {
		c.Hint = "end other programs that watch files, or: " + oslimit.RaiseInotify(level.Used+need)
	}
	return c
}

// root is the directory that proc is in.
func root(o Options) string {
	if o.Root == "" {
		return "/"
	}
	return o.Root
}
