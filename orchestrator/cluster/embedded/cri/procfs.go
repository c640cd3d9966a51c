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
}

// working is what a memory limit is compared with.
func (m memoryUse) working() uint64 { return m.anonymous + m.shared }

var pageSize = uint64(os.Getpagesize())

// statm is the /proc/PID/statm of a process. It stays open: to read it again is one system call and no look-up of the path. What it reads is that
// process's alone, also when the process has ended and another one has got its identifier. Its zero value is not open yet; it is not safe for concurrent use.
type statm struct {
	fd   int
	open bool
}

// maxStatm is more than seven numbers take, in bytes.
const maxStatm = 256

// read returns what the process with the identifier pid, always the same, holds.
func (s *statm) read(pid int) (memoryUse, error) {
	if !s.open {
		fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return memoryUse{}, fmt.Errorf("open memory figures of process %d: %w", pid, err)
		}
		s.fd, s.open = fd, true
	}
	line := make([]byte, maxStatm)
	n, err := unix.Pread(s.fd, line, 0)
	if err != nil {
		return memoryUse{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	m, err := parseStatm(line[:n])
	if err != nil {
		return memoryUse{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return m, nil
}

func (s *statm) close() {
	if s.open {
		_ = unix.Close(s.fd)
		s.open = false
	}
}

// parseStatm reads pages: field 2 is what is resident, field 3 how much of it belongs to files.
func parseStatm(line []byte) (memoryUse, error) {
	fields := bytes.Fields(line)
	if len(fields) < 3 {
		return memoryUse{}, fmt.Errorf("malformed %q", line)
	}
	resident, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return memoryUse{}, err
	}
	shared, err := strconv.ParseUint(string(fields[2]), 10, 64)
	if err != nil {
		return memoryUse{}, err
	}
	return memoryUse{anonymous: (resident - min(shared, resident)) * pageSize}, nil
}
