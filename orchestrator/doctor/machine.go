package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

func executables(ctx context.Context, quick bool) []Check {
	found, err := embedded.FindBinaries()
	if err != nil {
		return []Check{{Name: "binaries", Required: true, Detail: err.Error(), Hint: errs.HintOf(err)}}
	}
	var out []Check
	for i, path := range append([]string{found.Cluster}, found.Programs...) {
		c := Check{Name: filepath.Base(path), OK: true, Required: true, Detail: path}
		if i > 0 && !quick { // A program binary lists its images; that it can is that it runs on this machine.
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			if text, err := exec.CommandContext(ctx, path, "--images").Output(); err != nil || len(text) == 0 {
				c.OK, c.Detail = false, fmt.Sprintf("%s --images: %v", path, err)
				c.Hint = rebuilt(path)
			}
			cancel()
		}
		out = append(out, c)
	}
	return out
}

// rebuilt says what to do about a program binary that does not list its images.
func rebuilt(path string) string {
	if further, err := binaries.Further(); err == nil && slices.Contains(further, path) {
		return "see that GAMEDAY_PROGRAMS names binaries that list their images"
	}
	return "build it again with make build"
}

func memory(o Options) Check {
	need := uint64(o.Concurrency) * clusterMemory
	available, err := meminfo(filepath.Join(o.Root, "/proc/meminfo"), "MemAvailable")
	c := Check{Name: "memory", Required: true, OK: available >= need, Detail: fmt.Sprintf("%s available, want %s", size(available), size(need))}
	if err != nil {
		return Check{Name: "memory", Detail: err.Error(), OK: false}
	}
	if limit, ok := cgroupLimit(o.Root); ok && limit < available {
		c.OK, c.Detail = limit >= need, fmt.Sprintf("%s allowed by the control group, want %s", size(limit), size(need))
	}
	if !c.OK {
		c.Hint = "close other programs, or lower --concurrency"
	}
	return c
}

func meminfo(file, field string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == field+":" {
			kib, err := strconv.ParseUint(words[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read memory: no %s in %s", field, file)
}

// cgroupLimit is what is left of the control group's memory limit, where there is one.
func cgroupLimit(root string) (uint64, bool) {
	limit, err := number(filepath.Join(root, "/sys/fs/cgroup/memory.max"))
	if err != nil {
		return 0, false
	}
	used, err := number(filepath.Join(root, "/sys/fs/cgroup/memory.current"))
	if err != nil || used > limit {
		return 0, err == nil
	}
	return limit - used, true
}

func number(file string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

func processors(o Options) Check {
	n := runtime.GOMAXPROCS(0)
	c := Check{Name: "processors", OK: n >= 2*o.Concurrency, Detail: fmt.Sprintf("%d, want 2 for each trial at a time", n)}
	if !c.OK {
		c.Hint = "trials will be slow: lower --concurrency, or raise --timeout-multiplier"
	}
	return c
}

// directory checks that dir, or the nearest directory above it that exists, can be written and has room.
func directory(name, dir string, need uint64, flag string) Check {
	c := Check{Name: name, Required: true}
	at := dir
	if at == "" {
		at = "."
	}
	for {
		info, err := os.Stat(at)
		if err == nil && info.IsDir() {
			break
		}
		if err == nil {
			c.Detail, c.Hint = fmt.Sprintf("%s is not a directory", at), "choose another with "+flag
			return c
		}
		if !errors.Is(err, os.ErrNotExist) || filepath.Dir(at) == at {
			c.Detail, c.Hint = err.Error(), "choose another with "+flag
			return c
		}
		at = filepath.Dir(at)
	}
	file, err := os.CreateTemp(at, ".gameday-doctor-*")
	if err != nil {
		c.Detail, c.Hint = fmt.Sprintf("%s cannot be written: %v", at, err), "choose another with "+flag
		return c
	}
	_, writeErr := file.Write(make([]byte, 4096))
	if err := errors.Join(writeErr, file.Close(), os.Remove(file.Name())); err != nil {
		c.Detail, c.Hint = fmt.Sprintf("%s cannot be written: %v", at, err), "free some space, or choose another with "+flag
		return c
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(at, &stat); err != nil {
		c.Detail = fmt.Sprintf("look at the file system of %s: %v", at, err)
		return c
	}
	free := stat.Bavail * uint64(stat.Bsize)
	c.OK, c.Detail = free >= need, fmt.Sprintf("%s: %s free, want %s", at, size(free), size(need))
	if !c.OK {
		c.Hint = "free some space, or choose another with " + flag
	}
	return c
}

// temporary checks the directory for temporary files. Unlike the others, nobody makes it when it is not there.
func temporary(o Options) Check {
	c := directory("temporary directory", o.TempDir, uint64(o.Concurrency)*tempDisk, "TMPDIR")
	if _, err := os.Stat(o.TempDir); err != nil && c.OK {
		c.OK, c.Detail, c.Hint = false, err.Error(), "make it, or choose another with TMPDIR"
	}
	return c
}

// maxSocketPath is sizeof(sockaddr_un.sun_path) without the final zero byte, unix(7).
const maxSocketPath = 107

// socketRoom is what a cluster adds to the runtime directory: /<name of up to 30>/s/<node>.egress.
const socketRoom = 1 + 30 + len("/s/node-99.egress")

func socketPath(o Options) Check {
	n := len(o.RuntimeDir) + socketRoom
	c := Check{Name: "socket path", Required: true, OK: n <= maxSocketPath, Detail: fmt.Sprintf("up to %d bytes below %s, at most %d", n, o.RuntimeDir, maxSocketPath)}
	if !c.OK {
		c.Hint = "set XDG_RUNTIME_DIR to a shorter path"
	}
	return c
}

// loopback checks that ports can be taken on 127.0.0.1 and that other loopback addresses work: each node has its own.
func loopback(ctx context.Context) Check {
	c := Check{Name: "loopback ports", Required: true}
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	listen := net.ListenConfig{}
	for i := range ports {
		address := "127.0.0.1:0"
		if i == ports-1 {
			address = "127.0.0.11:0"
		}
		l, err := listen.Listen(ctx, "tcp", address)
		if err != nil {
			c.Detail = fmt.Sprintf("listen on %s: %v", address, err)
			c.Hint = "bring up the loopback interface with 127.0.0.0/8, or end what takes all ports"
			return c
		}
		open = append(open, l)
	}
	c.OK, c.Detail = true, fmt.Sprintf("%d free ports found on 127.0.0.0/8", ports)
	return c
}

func processLimit(o Options) Check {
	need := uint64(o.Concurrency) * 1500 // Threads: some 40 processes of up to 30 threads each.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return Check{Name: "processes", Detail: fmt.Sprintf("read the limit: %v", err)}
	}
	c := Check{Name: "processes", Required: true, OK: limit.Cur >= need, Detail: fmt.Sprintf("%s of this user, want %d", count(limit.Cur), need)}
	if !c.OK {
		c.Hint = fmt.Sprintf("raise the limit: ulimit -u %d, or lower --concurrency", need)
	}
	return c
}

// pidfd checks the system call that children are signalled through without races.
func pidfd() Check {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return Check{Name: "pidfd", Detail: fmt.Sprintf("pidfd_open: %v", err), Hint: "a kernel of 5.3 or later is wanted; without it signals go by process id"}
	}
	_ = unix.Close(fd)
	return Check{Name: "pidfd", OK: true, Detail: "pidfd_open works"}
}

// kernel is good to know when results of machines are compared.
func kernel(o Options) []Check {
	out := []Check{{Name: "kernel", OK: runtime.GOOS == "linux", Required: true, Detail: runtime.GOOS + "/" + runtime.GOARCH}}
	if data, err := os.ReadFile(filepath.Join(o.Root, "/proc/sys/kernel/osrelease")); err == nil {
		out[0].Detail += " " + strings.TrimSpace(string(data))
	} else {
		out[0].OK, out[0].Detail, out[0].Hint = false, fmt.Sprintf("read /proc: %v", err), "mount /proc"
	}
	_, cgroupErr := os.Stat(filepath.Join(o.Root, "/sys/fs/cgroup/cgroup.controllers"))
	out = append(out, Check{Name: "control groups", OK: cgroupErr == nil, Detail: word(cgroupErr == nil, "version 2", "version 2 is not mounted; not needed")})
	out = append(out, Check{Name: "user", OK: true, Detail: fmt.Sprintf("uid %d%s", syscall.Getuid(), word(syscall.Getuid() == 0, " (root is not needed)", ""))})
	return out
}

func word(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

func count(n uint64) string {
	if n > 1<<40 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

func size(bytes uint64) string {
	switch {
	case bytes > 1<<60:
		return "unlimited"
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
