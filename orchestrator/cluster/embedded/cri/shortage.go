package cri

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/gameday-bench/gameday/internal/procx"
)

// Machine is what the node's kernel has to give. Zero means no limit.
type Machine struct {
	// Memory in bytes: what containers and this process hold beyond it, the out-of-memory killer takes back.
	Memory uint64
	// PIDs is how many tasks (threads) the node can have: at the limit no process starts any more.
	PIDs int64
	// PodPIDs is the same for the tasks of one pod.
	PodPIDs int64
}

// relieveMemory is the node's out-of-memory killer: over the machine's memory, the container with the worst score is killed,
// as the kernel scores it: its share of the memory in thousandths, plus the adjustment that the kubelet chose by quality of
// service. own is what this process holds, in bytes.
func (r *Runtime) relieveMemory(own uint64, use map[*container]uint64) {
	total := own
	var worst *container
	var score int64
	for c, bytes := range use {
		total += bytes
		s := int64(bytes*1000/r.cfg.Machine.Memory) + c.config.GetLinux().GetResources().GetOomScoreAdj()
		if bytes > 0 && (worst == nil || s > score) {
			worst, score = c, s
		}
	}
	if total > r.cfg.Machine.Memory && worst != nil {
		worst.killForMemory()
	}
}

// killForMemory kills everything in the container, which then reports OOMKilled.
func (c *container) killForMemory() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.oom || len(c.procs) == 0 {
		return
	}
	c.oom = true
	c.meter.countOOM()
	for pid := range c.procs {
		_ = procx.SignalGroup(pid, syscall.SIGKILL)
	}
}

// Tasks is how many threads the node has: this process's, and those of all containers.
func (r *Runtime) Tasks() int64 {
	total, _ := processTasks(os.Getpid())
	for _, c := range r.snapshotContainers() {
		total += c.tasks()
	}
	return total
}

func (c *container) tasks() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var total int64
	for pid := range c.procs {
		n, _ := processTasks(pid) // A process that ended meanwhile has none.
		total += n
	}
	return total
}

// allowTask is EAGAIN where the node or the pod has no task left, as fork(2) says it. The caller
// holds no lock of a container.
func (c *container) allowTask() error {
	m := c.r.cfg.Machine
	if m.PodPIDs > 0 {
		var total int64
		for _, each := range c.r.containersOf(c.sandbox.id) {
			total += each.tasks()
		}
		if total >= m.PodPIDs {
			return fmt.Errorf("fork: %w", syscall.EAGAIN)
		}
	}
	if m.PIDs > 0 && c.r.Tasks() >= m.PIDs {
		return fmt.Errorf("fork: %w", syscall.EAGAIN)
	}
	return nil
}

// processTasks reads field 20 of /proc/PID/stat: the number of threads.
func processTasks(pid int) (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read threads of process %d: %w", pid, err)
	}
	// The command in field 2 may hold spaces and parentheses: count from the last one.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 18 {
		return 0, fmt.Errorf("read threads of process %d: %d fields in stat", pid, len(fields))
	}
	return strconv.ParseInt(string(fields[17]), 10, 64)
}
