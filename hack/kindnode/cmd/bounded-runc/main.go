// Command bounded-runc is an OCI runtime: runc, for a machine on which not even root may have every capability, as inside of some
// containers and sandboxes. A privileged container asks for all of them, and runc refuses to start it when one cannot be had. bounded-runc
// takes out of the request what this process cannot pass on, and becomes runc. It only ever asks for less.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	err := become(os.Args[1:])
	// containerd shows a runtime's stderr.
	fmt.Fprintln(os.Stderr, "bounded-runc:", err)
	os.Exit(1)
}

// become changes the requests that args name, and executes runc with args. It returns only with an error.
func become(args []string) error {
	limits, err := ownLimits()
	if err != nil {
		return err
	}
	for _, r := range requests(args) {
		if err := rewrite(r, limits); err != nil {
			return err
		}
	}
	runc, err := find()
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// request is a file that says what a process may do.
type request struct {
	file string
	// bundle says that the process is a part of the file, and not all of it.
	bundle bool
}

// requests returns those that a command line names: a container's bundle for create and run, a process for exec.
func requests(args []string) []request {
	var out []request
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "--bundle", "-b":
			out = append(out, request{filepath.Join(value, "config.json"), true})
		case "--process", "-p":
			out = append(out, request{value, false})
		}
	}
	return out
}

// rewrite changes a request's file, where it has to.
func rewrite(r request, limits limits) error {
	data, err := os.ReadFile(r.file)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	bounded, err := limits.apply(data, r.bundle)
	if err != nil {
		return fmt.Errorf("read request %s: %w", r.file, err)
	}
	if err := os.WriteFile(r.file, bounded, 0o600); err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	return nil
}

// find returns the path of runc. A runtime may be started without PATH.
func find() (string, error) {
	if path, err := exec.LookPath("runc"); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, "runc")); err == nil {
			return path, nil
		}
	}
	return "", errors.New("find runc: install the package runc")
}

// ownScore is this process's score for the choice of what to kill when memory is short.
func ownScore() (int, error) {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, fmt.Errorf("read own score: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read own score: %w", err)
	}
	return score, nil
}
