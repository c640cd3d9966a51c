package dockerd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is one of the machine's processes.
type process struct {
	PID, Parent int
	// Command are its arguments, with spaces; empty for one that has ended.
	Command string
}

// processes lists those below proc, which is /proc or like it.
func processes(proc string) ([]process, error) {
	dirs, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := readStat(proc, pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read arguments of process %d: %w", pid, err)
		}
		out = append(out, process{pid, stat.parent, string(bytes.TrimSpace(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))})
	}
	return out, nil
}

// stat is what is used of a process's status.
type stat struct {
	state  byte
	parent int
	// started is the time of its start, in the kernel's own unit: together with the number it is unique.
	started string
}

func readStat(proc string, pid int) (stat, error) {
	data, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read status of process %d: %w", pid, err)
	}
	// The name, in parentheses, may contain anything: the rest begins after the last one. Its fields are numbered from 3.
	const first, parent, started = 3, 4, 22
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= started-first {
		return stat{}, fmt.Errorf("read status of process %d: %q is too short", pid, data)
	}
	ppid, err := strconv.Atoi(fields[parent-first])
	if err != nil {
		return stat{}, fmt.Errorf("read status of process %d: %w", pid, err)
	}
	return stat{fields[0][0], ppid, fields[started-first]}, nil
}

// gone says that an error is that of a process that has ended meanwhile.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// startTime returns the time at which a process started.
func startTime(proc string, pid int) (string, error) {
	s, err := readStat(proc, pid)
	return s.started, err
}

// running says whether the process with a number still is the one that started at a time, and has not ended.
func running(pid int, started string) (bool, error) {
	s, err := readStat("/proc", pid)
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// One that nobody has waited for is a zombie.
	return s.started == started && s.state != 'Z' && s.state != 'X', nil
}
