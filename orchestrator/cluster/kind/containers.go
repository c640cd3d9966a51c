package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// containers are the names of a cluster's containers, running or not.
func (e engine) containers(ctx context.Context, cluster string) ([]string, error) {
	out, err := e.run(ctx, "ps", "--all", "--filter", "label="+clusterLabel+"="+cluster, "--format", "{{.Names}}")
	if err != nil {
		return nil, err
	}
	found := lines(out)
	slices.Sort(found)
	return found, nil
}

// clusters are the names, as kind knows them, of all clusters that have containers, sorted.
func (e engine) clusters(ctx context.Context) ([]string, error) {
	out, err := e.run(ctx, "ps", "--all", "--filter", "label="+clusterLabel, "--format", "{{.Names}}")
	if err != nil {
		return nil, err
	}
	all := lines(out)
	if len(all) == 0 {
		return nil, nil
	}
	// Podman's format for a label differs from version to version; what inspect says does not.
	out, err = e.run(ctx, append([]string{"inspect", "--format", `{{index .Config.Labels "` + clusterLabel + `"}}`}, all...)...)
	if err != nil && !gone(err) {
		return nil, err
	}
	found := lines(out)
	slices.Sort(found)
	return slices.Compact(found), nil
}

// state is what an engine says about a container.
type state struct {
	Status    string
	Paused    bool
	ExitCode  int
	OOMKilled bool
	// StartedAt is in the engine's own format; it changes when the container is started again.
	StartedAt string
}

// running is true for a container that does its work.
func (s state) running() bool { return strings.EqualFold(s.Status, "running") && !s.Paused }

func (s state) String() string {
	switch status := strings.ToLower(s.Status); {
	case s.Status == "":
		return "is gone"
	case s.Paused:
		return "is paused"
	case s.OOMKilled:
		return "ran out of memory"
	case status == "exited" || status == "stopped" || status == "dead":
		return fmt.Sprintf("has ended with exit code %d", s.ExitCode)
	default:
		return "is " + status
	}
}

// states returns what each of the containers is doing; one that is gone has the zero state. The error is for an engine that does not answer.
func (e engine) states(ctx context.Context, containers []string) (map[string]state, error) {
	out, err := e.run(ctx, append([]string{"inspect", "--type", "container", "--format", "{{.Name}} {{json .State}}"}, containers...)...)
	if err != nil && !gone(err) {
		return nil, err
	}
	found := map[string]state{}
	for _, line := range lines(out) {
		name, text, ok := strings.Cut(line, " ")
		var s state
		if !ok || json.Unmarshal([]byte(text), &s) != nil {
			continue // A template without a container prints an empty line.
		}
		found[strings.TrimPrefix(name, "/")] = s
	}
	return found, nil
}

// gone is true for the error about a container that does not exist.
func gone(err error) bool {
	var failed *runError
	if !errors.As(err, &failed) {
		return false
	}
	said := strings.ToLower(failed.complaint)
	return strings.Contains(said, "no such object") || strings.Contains(said, "no such container")
}

const (
	// removeLimit bounds the removal of one cluster's containers.
	removeLimit = 2 * time.Minute
	// settleTime is how long after a start that was broken off a container may still appear: the engine goes on with what it was asked.
	settleTime = 2 * time.Second
	// removeRounds is how often removal is tried, and retryTime the time after one that failed.
	retryTime    = 500 * time.Millisecond
	removeRounds = 4
)

// remove removes the containers of a cluster with their volumes. It looks again afterwards, later where unsettled is true: a container
// that was being made when its maker was ended appears then. A cluster without containers is no error; what is left is.
func (e engine) remove(ctx context.Context, cluster string, unsettled bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, removeLimit, fmt.Errorf("not done within %s", removeLimit))
	defer cancel()
	var last error
	for range removeRounds {
		found, err := e.containers(ctx, cluster)
		if err != nil {
			return err
		}
		if len(found) == 0 && !unsettled {
			return nil
		}
		if len(found) == 0 {
			unsettled = false
			if err := wait(ctx, settleTime); err != nil {
				return err
			}
			continue
		}
		if last = e.removeContainers(ctx, found); last == nil {
			continue
		}
		// The engine may be at it already, or the kernel may still hold a mount.
		if err := wait(ctx, retryTime); err != nil {
			return errors.Join(err, last)
		}
	}
	left, err := e.containers(ctx, cluster)
	if err != nil || len(left) == 0 {
		return err
	}
	return errors.Join(fmt.Errorf("containers are left: %s", strings.Join(left, ", ")), last)
}

func (e engine) removeContainers(ctx context.Context, containers []string) error {
	if states, err := e.states(ctx, containers); err == nil {
		for name, s := range states {
			if s.Paused { // A frozen process does not die everywhere.
				_, _ = e.run(ctx, "unpause", name)
			}
		}
	}
	if e.name == nerdctl { // Its monitor would start them again.
		_, _ = e.run(ctx, append([]string{"update", "--restart=no"}, containers...)...)
	}
	_, err := e.transfer(ctx, append([]string{"rm", "--force", "--volumes"}, containers...)...)
	if gone(err) {
		err = nil
	}
	if e.name == podman {
		err = errors.Join(err, e.removeVolumes(ctx, containers))
	}
	return err
}

// removeVolumes removes the volumes that kind has Podman make, which carry the name of the container as a label.
func (e engine) removeVolumes(ctx context.Context, containers []string) error {
	var all []string
	for _, c := range containers {
		out, err := e.run(ctx, "volume", "ls", "--filter", "label="+c, "--quiet")
		if err != nil {
			return err
		}
		all = append(all, lines(out)...)
	}
	if len(all) == 0 {
		return nil
	}
	_, err := e.run(ctx, append([]string{"volume", "rm", "--force"}, all...)...)
	return err
}

// wait returns after d, or with the cause of ctx when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
