// Package procmetrics collects a process's own figures for Prometheus, under the names and help texts of client_golang's collector. That one reads the
// kernel's statistics of all processors and of the whole network for each scrape, of which a cluster has a dozen a second; and what it says of the network is the
// host's where a container has no network of its own in the kernel. This one leaves the network out.
package procmetrics

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

var (
	cpu       = desc("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
	openFiles = desc("process_open_fds", "Number of open file descriptors.")
	maxFiles  = desc("process_max_fds", "Maximum number of open file descriptors.")
	virtual   = desc("process_virtual_memory_bytes", "Virtual memory size in bytes.")
	maxMemory = desc("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.")
	resident  = desc("process_resident_memory_bytes", "Resident memory size in bytes.")
	startTime = desc("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
)

func desc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

// collector has the time at which it was made.
type collector struct{ started time.Time }

// New returns a collector of this process. Programs make it when they start: that is when they say that they have. A figure that cannot be read is left out.
func New() prometheus.Collector { return collector{time.Now()} }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cpu, openFiles, maxFiles, virtual, maxMemory, resident, startTime} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) == nil {
		spent := time.Duration(use.Utime.Nano() + use.Stime.Nano())
		ch <- prometheus.MustNewConstMetric(cpu, prometheus.CounterValue, spent.Seconds())
	}
	if size, held, err := memory(); err == nil {
		gauge(virtual, size)
		gauge(resident, held)
	}
	if n, err := files(); err == nil {
		gauge(openFiles, float64(n))
	}
	for d, resource := range map[*prometheus.Desc]int{maxFiles: unix.RLIMIT_NOFILE, maxMemory: unix.RLIMIT_AS} {
		var limit unix.Rlimit
		if unix.Getrlimit(resource, &limit) == nil {
			gauge(d, float64(limit.Cur))
		}
	}
	gauge(startTime, float64(c.started.UnixMilli())/1e3)
}

// memory is the size of the address space and how much of it is in memory, in bytes.
func memory() (size, held float64, err error) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of this process: %w", err)
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, 0, fmt.Errorf("read memory of this process: malformed %q", data)
	}
	page := float64(os.Getpagesize())
	if size, err = strconv.ParseFloat(fields[0], 64); err != nil {
		return 0, 0, fmt.Errorf("read memory of this process: %w", err)
	}
	if held, err = strconv.ParseFloat(fields[1], 64); err != nil {
		return 0, 0, fmt.Errorf("read memory of this process: %w", err)
	}
	return size * page, held * page, nil
}

// files is the number of open file descriptors: since Linux 6.2 the size of their directory, before that of what it lists.
func files() (int, error) {
	const dir = "/proc/self/fd"
	info, err := os.Stat(dir)
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	if n := info.Size(); n > 0 {
		return int(n), nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	return len(entries), nil
}
