// Package proctree measures a process and all its descendants from /proc (proc(5)).
package proctree

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Usage is what a set of processes uses at one moment.
type Usage struct {
	Processes int
	// PSS is the proportional set size in bytes: pages that n processes share count 1/n in each.
	PSS int64
	// CPU is the time that the processes have used so far, without children that have ended.
	CPU time.Duration
	// Files is the number of open file descriptors.
	Files int
}

// Process is one line of the process table.
type Process struct {
	PID, Parent int
	Name        string
	CPU         time.Duration
}

// Table reads the process table. Processes that end while it reads are left out.
func Table() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	var out []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := read(pid); ok {
			out = append(out, p)
		}
	}
	return out, nil
}

func read(pid int) (Process, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, false
	}
	// Field 2, the name, is in parentheses and may hold any character.
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if open < 0 || end < open || len(fields) < 13 {
		return Process{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return Process{PID: pid, Parent: parent, Name: string(data[open+1 : end]), CPU: time.Duration(user+system) * clockTick}, true
}

// Runs is false for a process that has ended, also while nobody has reaped it.
func Runs(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, found := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	return found && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// Descendants returns root and everything below it.
func Descendants(table []Process, root int) []Process {
	children := map[int][]Process{}
	var out []Process
	for _, p := range table {
		children[p.Parent] = append(children[p.Parent], p)
		if p.PID == root {
			out = append(out, p)
		}
	}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i].PID]...)
	}
	return out
}

// Measure sums up processes. What a process that has ended meanwhile used is not in it.
func Measure(processes []Process) Usage {
	u := Usage{}
	for _, p := range processes {
		pss, err := PSS(p.PID)
		if err != nil {
			continue
		}
		u.Processes++
		u.PSS += pss
		u.CPU += p.CPU
		if fds, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.PID), "fd")); err == nil {
			u.Files += len(fds)
		}
	}
	return u
}

// PSS returns the proportional set size of one process in bytes.
func PSS(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read memory of process %d: no Pss line", pid)
}

// ByName sums PSS by process name, largest first.
func ByName(processes []Process) []Share {
	sums := map[string]*Share{}
	for _, p := range processes {
		pss, err := PSS(p.PID)
		if err != nil {
			continue
		}
		if sums[p.Name] == nil {
			sums[p.Name] = &Share{Name: p.Name}
		}
		sums[p.Name].Processes++
		sums[p.Name].PSS += pss
		sums[p.Name].CPU += p.CPU
	}
	var out []Share
	for _, s := range sums {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Share) int {
		if a.PSS != b.PSS {
			return int(b.PSS - a.PSS)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// Share is the part of the processes that have one name.
type Share struct {
	Name      string
	Processes int
	PSS       int64
	CPU       time.Duration
}
