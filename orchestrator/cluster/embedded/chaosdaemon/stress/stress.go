// Package stress burns CPU time and holds memory, on the command lines of the tools that Chaos Mesh's daemon runs:
// stress-ng for the CPU and memStress for memory. It runs as a process of its own, so that what it uses can be counted
// against a container. It imports little, so that a helper weighs little beside the stress itself.
package stress

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kinds of stressor.
const (
	CPU    = "cpu"
	Memory = "memory"
)

// Go is what the starter writes to the stressor's standard input when it may begin.
const Go = "go\n"

// options are the decoded flags of either kind.
type options struct {
	workers int           // cpu: --cpu, memory: --workers
	load    float64       // percent of one CPU per worker
	slice   time.Duration // the period in which load is kept
	size    string        // bytes or percent of the total per memory worker
	grow    time.Duration // how long memory takes to reach size
	disk    int           // --hdd
	timeout time.Duration // 0: until killed
}

// Check reports whether Main takes args of a kind.
func Check(kind string, args []string) error {
	o, err := parse(kind, args)
	if err == nil && kind == Memory {
		_, err = bytesOf(o.size, 1<<40)
	}
	return err
}

// Main runs one stressor: args are the kind and its flags. It waits for Go on stdin first, and ends without it when stdin
// ends. It returns the process' exit code.
func Main(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "stress: want cpu or memory, and flags")
		return 2
	}
	o, err := parse(args[0], args[1:])
	if err != nil {
		fmt.Fprintln(stderr, "stress:", err)
		return 2
	}
	if _, err := io.ReadFull(stdin, make([]byte, len(Go))); err != nil {
		return 0
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	var workers sync.WaitGroup
	if args[0] == CPU {
		for range o.workers {
			workers.Go(func() { burn(ctx, o.load, o.slice) })
		}
		for range o.disk {
			workers.Go(func() { writeDisk(ctx) })
		}
		workers.Wait()
		return 0
	}
	size, err := bytesOf(o.size, totalMemory())
	if err != nil {
		fmt.Fprintln(stderr, "stress:", err)
		return 2
	}
	for range o.workers {
		workers.Go(func() { hold(ctx, size, o.grow) })
	}
	workers.Wait()
	return 0
}

// parse reads flags in the forms --flag value and --flag=value; the last of several wins, as in stress-ng.
func parse(kind string, args []string) (options, error) {
	o := options{load: 100, slice: 100 * time.Millisecond, workers: 1}
	if kind != CPU && kind != Memory {
		return o, fmt.Errorf("unknown kind %q (cpu, memory)", kind)
	}
	for len(args) > 0 {
		name, value, inline := strings.Cut(args[0], "=")
		args = args[1:]
		if !inline {
			if len(args) == 0 {
				return o, fmt.Errorf("flag %s has no value", name)
			}
			value, args = args[0], args[1:]
		}
		if err := o.set(kind, name, value); err != nil {
			return o, err
		}
	}
	if o.workers < 0 || o.workers > 8192 || o.disk < 0 || o.disk > 64 {
		return o, fmt.Errorf("%d workers are out of range", o.workers)
	}
	return o, nil
}

func (o *options) set(kind, name, value string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("flag %s %s: %w", name, value, err)
		}
	}()
	switch {
	case kind == CPU && (name == "--cpu" || name == "-c"):
		if o.workers, err = strconv.Atoi(value); err == nil && o.workers == 0 {
			o.workers = cpus()
		}
	case kind == CPU && (name == "--cpu-load" || name == "-l"):
		if o.load, err = strconv.ParseFloat(value, 64); err == nil && (o.load < 0 || o.load > 100) {
			err = fmt.Errorf("out of range 0 to 100")
		}
	case kind == CPU && name == "--cpu-load-slice":
		// Negative is a number of iterations and 0 a random slice in stress-ng; both keep the default here.
		var ms int
		if ms, err = strconv.Atoi(value); ms > 0 {
			o.slice = time.Duration(ms) * time.Millisecond
		}
	case kind == CPU && name == "--cpu-method":
		// Every method burns the same here.
	case kind == CPU && (name == "--hdd" || name == "-d"):
		o.disk, err = strconv.Atoi(value)
	case kind == Memory && name == "--workers":
		o.workers, err = strconv.Atoi(value)
	case kind == Memory && name == "--size":
		o.size = value
	case kind == Memory && name == "--time":
		o.grow, err = period(value)
	case name == "--timeout" || name == "-t":
		o.timeout, err = period(value)
	default:
		err = fmt.Errorf("not supported")
	}
	return err
}

// period reads seconds, or a number with s, m, h, d or a Go duration.
func period(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err
	}
	return time.ParseDuration(s)
}

// bytesOf reads a size: a percentage of total, or a number with B, KB, KiB, MB, MiB, GB, GiB, TB, TiB (powers of 1024).
// Empty is all of total.
func bytesOf(s string, total int64) (int64, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	if text == "" {
		return total, nil
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(percent, 64)
		if err != nil || p < 0 || p > 100 {
			return 0, fmt.Errorf("read size %q: want 0%% to 100%%", s)
		}
		return int64(p / 100 * float64(total)), nil
	}
	digits := strings.TrimRight(text, "BIKMGT")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("read size %q: want a number and B, KB, MB, GB or TB", s)
	}
	unit := strings.TrimSuffix(strings.TrimSuffix(text[len(digits):], "B"), "I")
	power := strings.Index("KMGT", unit) + 1
	if unit == "" {
		power = 0
	} else if power == 0 || len(unit) > 1 {
		return 0, fmt.Errorf("read size %q: unknown unit", s)
	}
	for range power {
		n *= 1024
	}
	return int64(n), nil
}

func totalMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1 << 30
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 1 << 30
}
