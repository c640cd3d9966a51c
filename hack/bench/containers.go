package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// nodeFilters find the node containers of our kind clusters: kind labels them, and ours have a prefix.
func nodeFilters() []string {
	return []string{"--filter", "label=io.x-k8s.kind.cluster", "--filter", "name=gameday-"}
}

// nodeContainers are the names of the node containers that there are, running or not.
func nodeContainers(ctx context.Context) ([]string, error) {
	out, err := docker(ctx, append([]string{"ps", "-a", "--format", "{{.Names}}"}, nodeFilters()...)...)
	return strings.Fields(out), err
}

// nodeProcesses are the first processes of the node containers that run; none where Docker cannot tell.
func nodeProcesses(ctx context.Context) []int {
	out, err := docker(ctx, append([]string{"ps", "-q"}, nodeFilters()...)...)
	ids := strings.Fields(out)
	if err != nil || len(ids) == 0 {
		return nil
	}
	if out, err = docker(ctx, append([]string{"inspect", "--format", "{{.State.Pid}}"}, ids...)...); err != nil {
		return nil // One of them has ended meanwhile: there is a next look.
	}
	var pids []int
	for _, text := range strings.Fields(out) {
		if pid, err := strconv.Atoi(text); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// docker runs a command of Docker's and returns what it printed.
func docker(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	if err != nil {
		return "", fmt.Errorf("run docker %s: %w", args[0], err)
	}
	return string(out), nil
}
