// Package oslimit says what is left of the operating system's limits that a machine full of clusters runs into.
//
// "Too many open files" is the operating system's one message for three limits: descriptors of a process, open files of the
// machine, and inotify instances of a user.
package oslimit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Level is how much of a limit is taken.
type Level struct {
	Used, Max uint64
}

// Free is what is left.
func (l Level) Free() uint64 {
	if l.Used > l.Max {
		return 0
	}
	return l.Max - l.Used
}

// inotifyLink is where the descriptor of an inotify instance leads, proc(5).
const inotifyLink = "anon_inode:inotify"

// Inotify counts the inotify instances of this user; root is the directory that holds proc, "/" on a machine. Instances that
// processes of other user or process namespaces hold are not seen, so what is free is an upper bound.
func Inotify(root string) (Level, error) {
	limit, err := number(filepath.Join(root, "proc/sys/fs/inotify/max_user_instances"))
	if err != nil {
		return Level{}, fmt.Errorf("read limit of inotify instances: %w", err)
	}
	// In a user namespace its own limit holds, too; elsewhere this is the same figure.
	if own, err := number(filepath.Join(root, "proc/sys/user/max_inotify_instances")); err == nil {
		limit = min(limit, own)
	}
	entries, err := os.ReadDir(filepath.Join(root, "proc"))
	if err != nil {
		return Level{}, fmt.Errorf("count inotify instances: %w", err)
	}
	level := Level{Max: limit}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil && ours(e) {
			level.Used += instances(filepath.Join(root, "proc", e.Name(), "fd"))
		}
	}
	return level, nil
}

// ours reports whether a process belongs to this user, whom its instances are counted against.
func ours(process os.DirEntry) bool {
	info, err := process.Info()
	if err != nil {
		return false // It has ended.
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// InotifyOf counts the inotify instances of one process.
func InotifyOf(pid int) uint64 { return instances(fmt.Sprintf("/proc/%d/fd", pid)) }

func instances(dir string) uint64 {
	fds, err := os.ReadDir(dir)
	if err != nil {
		return 0 // It has ended, or is not ours to look at.
	}
	n := uint64(0)
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && to == inotifyLink {
			n++
		}
	}
	return n
}

// Files is how many files the whole machine has open; root is as in Inotify.
func Files(root string) (Level, error) {
	data, err := os.ReadFile(filepath.Join(root, "proc/sys/fs/file-nr"))
	if err != nil {
		return Level{}, fmt.Errorf("read open files: %w", err)
	}
	words := strings.Fields(string(data)) // Allocated, unused (always 0), limit.
	if len(words) != 3 {
		return Level{}, fmt.Errorf("read open files: %q in file-nr", data)
	}
	used, usedErr := strconv.ParseUint(words[0], 10, 64)
	limit, limitErr := strconv.ParseUint(words[2], 10, 64)
	if err := errors.Join(usedErr, limitErr); err != nil {
		return Level{}, fmt.Errorf("read open files: %w", err)
	}
	return Level{used, limit}, nil
}

// Descriptors is how many files this process has open and may have.
func Descriptors() (Level, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return Level{}, fmt.Errorf("read limit of open files: %w", err)
	}
	// Without a descriptor to spare the directory cannot be read: then all are taken.
	fds, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, unix.EMFILE) {
		return Level{limit.Cur, limit.Cur}, nil
	}
	if err != nil {
		return Level{}, fmt.Errorf("count open files: %w", err)
	}
	return Level{uint64(len(fds)), limit.Cur}, nil
}

func number(file string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}
