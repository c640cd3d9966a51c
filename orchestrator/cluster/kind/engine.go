package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/cluster"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// Engines are the container engines that nodes can be in, the preferred one first.
func Engines() []string { return []string{docker, podman, nerdctl} }

const (
	docker  = "docker"
	podman  = "podman"
	nerdctl = "nerdctl"
)

// clusterLabel is kind's label on a container for the cluster that it belongs to.
const clusterLabel = "io.x-k8s.kind.cluster"

// callLimit bounds one call of an engine that has nothing to transfer.
const callLimit = 30 * time.Second

// engine is a container engine by its command.
type engine struct{ name string }

// runError is a command of an engine that failed.
type runError struct {
	engine, verb string
	err          error
	// complaint is the end of what the command wrote to its standard error.
	complaint string
}

func (e *runError) Error() string {
	text := fmt.Sprintf("run %s %s: %v", e.engine, e.verb, e.err)
	if e.complaint != "" {
		text += ": " + e.complaint
	}
	return text
}

func (e *runError) Unwrap() error { return e.err }

// run runs a command of the engine that answers soon, and returns what it printed, also where it failed.
func (e engine) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %s", callLimit))
	defer cancel()
	return e.transfer(ctx, args...)
}

// transfer is run for a command that may take as long as ctx lasts.
func (e engine) transfer(ctx context.Context, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, e.name, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &complaint, time.Second
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.String(), &runError{engine: e.name, verb: args[0], err: err, complaint: lastLines(complaint.String(), 3)}
}

// lastLines is the end of a text on one line.
func lastLines(text string, n int) string {
	lines := strings.FieldsFunc(strings.TrimSpace(text), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

// lines splits what a command printed; empty lines are left out.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// explain blames the machine for an engine that failed, and says what to do about it.
func (e engine) explain(err error) error {
	if err == nil {
		return nil
	}
	var failed *runError
	said, ownCall := strings.ToLower(err.Error()), errors.As(err, &failed)
	if ownCall {
		said = strings.ToLower(failed.complaint + " " + failed.err.Error())
	}
	err = errs.With(errs.Infra, err)
	switch {
	case strings.Contains(said, "no space left on device"):
		return errs.Hint(err, "free some space, for example with: %s system prune", e.name)
	case strings.Contains(said, "cannot connect to the docker daemon"):
		return errs.Hint(err, "start %s (for Docker: sudo systemctl start docker), or point DOCKER_HOST at one that runs", e.name)
	case strings.Contains(said, "setting rlimit"):
		return errs.Hint(err, "have %s ask for no more than ulimit -Hn and -Hu allow (for Podman: default_ulimits in containers.conf, such as [\"nofile=20000:20000\", "+
			"\"nproc=30000:30000\"])", e.name)
	case errors.Is(err, errNoContainer):
		return errs.Hint(err, "%s can run no nodes here, which are privileged containers: choose another engine with --engine, or --cluster embedded", e.name)
	case !ownCall:
		return err // What else kind's commands say in a node may be about anything.
	case errors.Is(err, exec.ErrNotFound):
		return errs.Hint(err, "install %s, or choose another engine with --engine", e.name)
	case strings.Contains(said, "permission denied"):
		return errs.Hint(err, "let this user use %s (for Docker: sudo usermod -aG docker $USER, and log in again), use a rootless engine, or run as root",
			e.name)
	case strings.Contains(said, "cannot connect") || strings.Contains(said, "is the docker daemon running") ||
		strings.Contains(said, "connection refused") || strings.Contains(said, "no such file or directory") || strings.Contains(said, "no answer within"):
		return errs.Hint(err, "start %s (for Docker: sudo systemctl start docker), or point DOCKER_HOST at one that runs", e.name)
	}
	return err
}

// installed are the engines that are in PATH.
func installed() []engine {
	var out []engine
	for _, name := range Engines() {
		if _, err := exec.LookPath(name); err == nil {
			out = append(out, engine{name})
		}
	}
	return out
}

// findEngine returns the engine called name, or the first one that answers where name is empty, with what it says about its machine.
// Errors are of party infra, but for an unknown name.
func findEngine(ctx context.Context, name string) (engine, machine, error) {
	if name != "" {
		if !slices.Contains(Engines(), name) {
			err := nearest.Unknown("container engine", name, Engines())
			return engine{}, machine{}, errs.With(errs.Usage, errs.Hint(err, "%s", err.Hint()))
		}
		e := engine{name}
		m, err := e.machine(ctx)
		return e, m, e.explain(err)
	}
	all := installed()
	if len(all) == 0 {
		return engine{}, machine{}, errs.Hint(errs.Newf(errs.Infra, "find a container engine: none of %s is in PATH", strings.Join(Engines(), ", ")),
			"install Docker, Podman or nerdctl; --cluster embedded needs none")
	}
	var first error
	for _, e := range all {
		m, err := e.machine(ctx)
		if err == nil {
			return e, m, nil
		}
		if first == nil {
			first = e.explain(err)
		}
	}
	return engine{}, machine{}, first
}

// option is the engine for kind's library.
func (e engine) option() cluster.ProviderOption {
	switch e.name {
	case podman:
		return cluster.ProviderWithPodman()
	case nerdctl:
		return cluster.ProviderWithNerdctl(nerdctl)
	}
	return cluster.ProviderWithDocker()
}
