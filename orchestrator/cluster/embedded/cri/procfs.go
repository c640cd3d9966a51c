package cri

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the CPU time that all threads of the process have used, to the nanosecond. The clock identifier of
// another process's CPU clock is a documented encoding (clock_getcpuclockid(3)): the complemented process identifier
// shifted by three, and 2 for the scheduler's clock.
func processCPU(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// memoryUse is what a process holds of the machine's memory, in bytes.
type memoryUse struct {
	anonymous uint64 // Memory of its own: heap and stacks.
	shared    uint64 // What is in its tmpfs volumes. A limit is compared with the sum of both.
	file      uint64 // Mapped files, mostly its executable, shared with every process of the same binary.
}

// working is what a memory limit is compared with.
func (m memoryUse) working() uint64 { return m.anonymous + m.shared }

var pageSize = uint64(os.Getpagesize())

// processMemory reads /proc/PID/statm: field 2 is what is resident, field 3 how much of it belongs to files.
func processMemory(pid int) (memoryUse, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return memoryUse{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	fields := bytes.Fields(data)
	if len(fields) < 3 {
		return memoryUse{}, fmt.Errorf("read memory of process %d: malformed %q", pid, data)
	}
	resident, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return memoryUse{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	shared, err := strconv.ParseUint(string(fields[2]), 10, 64)
	if err != nil {
		return memoryUse{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return memoryUse{anonymous: (resident - min(shared, resident)) * pageSize, file: shared * pageSize}, nil
}
